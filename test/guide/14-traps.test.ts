/**
 * 14. Traps
 *
 * What is easily got wrong is listed in docs/traps.md, with the test that holds it; most are in the chapters before
 * this one, or with what they are about. Here are those that have no other place, and a check that the list is true.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { capture, event } from '../capture/harness.ts';
import { NOON } from './clock.ts';
import { captured, eventUuid, System, until } from './harness.ts';

const ROOT = join(import.meta.dirname, '../..');

t.test('docs/traps.md lists every trap once, and the tests that it names are there', async (t) => {
  const rows = readFileSync(join(ROOT, 'docs/traps.md'), 'utf8').matchAll(/^\| (\d+) \| (.+) \| (.+) \|$/gm);
  const numbers: number[] = [];
  for (const [, number, trap, heldBy = ''] of rows) {
    numbers.push(Number(number));
    const claims = [...heldBy.matchAll(/`(test\/[^`]+)`((?: "(?:[^"])+")+)/g)];
    t.ok(claims.length > 0 || /^Not (there yet|ours): /.test(heldBy), `trap ${number}: ${trap}`);
    for (const [, file = '', names = ''] of claims) {
      const path = join(ROOT, file);
      if (!t.ok(existsSync(path), `there is ${file}`)) continue;
      const source = readFileSync(path, 'utf8').replaceAll("\\'", "'");
      for (const [, name = ''] of names.matchAll(/"([^"]+)"/g)) {
        t.ok(source.includes(name), `${file} has "${name}"`);
      }
    }
  }
  t.same(
    numbers,
    Array.from({ length: 57 }, (_, index) => index + 1),
  );
});

t.test('trap 8: what looks like base64 and is none is judged as it stands', async (t) => {
  const { post, log } = await capture(t);
  for (const body of ['true', 'null', '12345678']) {
    const reply = await post('/e/', body);
    t.equal(reply.status, 400, body);
  }
  t.equal((await post('/e/', Buffer.from(JSON.stringify(event())).toString('base64'))).status, 200);
  t.equal(log.events().length, 1);
});

t.test('trap 17: every event has a key of its own, and messages without one are spread', async (t) => {
  const event = { event: 'opened', distinct_id: 'ann' };
  const [record] = captured([event], {}, NOON, () => eventUuid(1));
  t.equal(record?.key, 'phc_guide:ann');
  const system = await System.open(t, { partitions: 2 });
  const message = { topic: INGESTION_TOPIC, value: 'x', headers: {}, timestamp: NOON } as const;
  const partitionsOf = async (key: string | null) => {
    const appended = [];
    for (let n = 0; n < 10; n++) appended.push(...(await system.log.append([{ ...message, key }])));
    return new Set(appended.map(({ partition }) => partition));
  };
  t.equal((await partitionsOf('')).size, 1, 'the empty key is a key');
  t.equal((await partitionsOf(null)).size, 2);
});

t.test('trap 52: partition 0 can be paused and goes on', async (t) => {
  const system = await System.open(t, { partitions: 1 });
  const read: number[] = [];
  const partition = { topic: INGESTION_TOPIC, partition: 0 } as const;
  const subscription = await system.log.subscribe({
    group: 'reader',
    topics: [INGESTION_TOPIC],
    recordsMax: 10,
    onAssign: async () => 0,
    onRevoke: () => {},
    onRecords: (_, records) => read.push(...records.map(({ offset }) => offset)),
    onError: (error) => t.error(error),
  });
  const append = () =>
    system.log.append([{ topic: INGESTION_TOPIC, key: 'a', value: 'x', headers: {}, timestamp: NOON }]);
  await append();
  await until('the first is read', () => read.length === 1);
  subscription.pause(partition);
  await append();
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.same(read, [0]);
  subscription.resume(partition);
  await until('the second is read', () => read.length === 2);
  await subscription.close();
});
