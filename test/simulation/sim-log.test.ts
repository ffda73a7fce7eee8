import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { eventLogContract } from '../contract/event-log.ts';
import { makeRecord, Reader, until } from '../support/event-log.ts';
import { SimLog } from './sim-log.ts';

let logs = 0;

eventLogContract('simulated log', async (partitions) => {
  const log = new SimLog({ clock: systemClock, partitions, identity: `log ${logs++}` });
  return { log, dispose: () => log.close() };
});

void t.test('a member that died says nothing, and the others take over', async (t) => {
  const log = new SimLog({ clock: systemClock, partitions: 2, identity: 'dying' });
  const first = new Reader('group', [INGESTION_TOPIC]);
  const second = new Reader('group', [INGESTION_TOPIC]);
  const dying = await log.subscribe(first);
  await until(() => first.held.size === 2);
  dying.die();
  await log.subscribe(second);
  await log.append([makeRecord({ key: 'abc' })]);
  await until(() => second.records.length === 1);
  t.same([first.revokes, first.records.length], [0, 0]);
});
