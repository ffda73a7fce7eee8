import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { asDistinctId, type DistinctId } from '../../src/event/ids.ts';
import type { Restriction } from '../../src/event/restriction.ts';
import { LogUnavailableError } from '../../src/storage/event-log.ts';
import { askReplay } from '../../src/storage/postgres/partition-rows.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { workerHarness } from './worker-harness.ts';

const only = (distinctId: string, ...restrictions: readonly Restriction[]) => ({
  ofAll: new Set<Restriction>(),
  ofIds: new Map([[asDistinctId(distinctId), new Set(restrictions)]]),
});

t.test('what was on the log before its restriction is dropped, with its reason', async (t) => {
  const harness = await workerHarness(t, { restrictions: only('bot', 'drop') });
  const worker = await harness.start();
  await harness.capture([
    { event: 'clicked', distinctId: 'ann' },
    { event: 'clicked', distinctId: 'bot' },
    { event: '$identify', distinctId: 'bot', properties: { $anon_distinct_id: 'ann' } },
  ]);
  t.match(await harness.settled(3), { rows: 1, dropped: { restriction: 2 }, imbalance: 0 });
  const { rows } = await harness.postgres.query('SELECT distinct_id FROM posthog_persondistinctid');
  t.same(rows, [{ distinct_id: 'ann' }]);
  await worker.close();
});

t.test('restricted to no person profile, an event has a row without a person', async (t) => {
  const harness = await workerHarness(t, { restrictions: only('guest', 'no_person_profile', 'overflow') });
  const worker = await harness.start();
  await harness.capture([
    { event: 'clicked', distinctId: 'guest', properties: { $set: { plan: 'free' } } },
    { event: 'clicked', distinctId: 'ann', properties: { $set: { plan: 'free' } } },
    { event: '$identify', distinctId: 'guest', properties: { $anon_distinct_id: 'anon' } },
  ]);
  const reason = 'invalid_event_when_process_person_profile_is_false';
  t.match(await harness.settled(3), { rows: 2, dropped: { [reason]: 1 }, imbalance: 0 });
  const modes = (await harness.read('clickhouse_events_json')).map(({ distinct_id, person_mode }) => [
    distinct_id,
    person_mode,
  ]);
  t.same(modes.toSorted(), [
    ['ann', 'full'],
    ['guest', 'propertyless'],
  ]);
  const { rows } = await harness.postgres.query('SELECT distinct_id FROM posthog_persondistinctid');
  t.same(rows, [{ distinct_id: 'ann' }]);
  await worker.close();
});

t.test(
  'what was folded before its restriction gets its row: no change leaves it without a fate',
  async (t) => {
    const ofIds = new Map<DistinctId, ReadonlySet<Restriction>>();
    const harness = await workerHarness(t, { restrictions: { ofAll: new Set(), ofIds } });
    const before = await harness.start(undefined, { log: { append } });
    await harness.capture([
      { event: '$identify', distinctId: 'bot', properties: { $anon_distinct_id: 'anon' } },
    ]);
    await until(async () => (await harness.postgres.query('SELECT FROM posthog_person')).rowCount === 1);
    await before.close();

    ofIds.set(asDistinctId('bot'), new Set(['drop', 'no_person_profile']));
    const worker = await harness.start();
    await harness.capture([{ event: 'clicked', distinctId: 'bot' }]);
    t.match(await harness.settled(2), { rows: 1, dropped: { restriction: 1 }, imbalance: 0 });
    const [row] = await harness.read('clickhouse_events_json');
    t.match(row, { event: '$identify', distinct_id: 'bot', person_mode: 'full' });
    await worker.close();
  },
);

t.test('what was folded without a person gets its row without one after a crash', async (t) => {
  const ofIds = new Map<DistinctId, ReadonlySet<Restriction>>();
  const harness = await workerHarness(t, { restrictions: { ofAll: new Set(), ofIds } });
  const first = await harness.start();
  await harness.capture([{ event: 'joined', distinctId: 'guest', properties: { $set: { plan: 'free' } } }]);
  await harness.settled(1);
  await first.close();

  ofIds.set(asDistinctId('guest'), new Set(['no_person_profile']));
  const second = await harness.start(undefined, { log: { append } });
  // About a group, so that the save has to note that it was folded.
  const $group = { $group_type: 'company', $group_key: 'acme', $group_set: { size: 3 } };
  await harness.capture([
    { event: '$groupidentify', distinctId: 'guest', properties: { ...$group, $set: { plan: 'paid' } } },
  ]);
  const folded = 'SELECT FROM tributary_folded WHERE to_offset >= 1';
  await until(async () => (await harness.postgres.query(folded)).rowCount === 1);
  await second.close();

  const third = await harness.start();
  t.match(await harness.settled(2), { rows: 2, imbalance: 0 });
  const rows = await harness.read('clickhouse_events_json');
  const row = rows.find(({ event }) => event === '$groupidentify');
  t.match(row, { person_mode: 'propertyless', person_properties: '{}' });
  t.notMatch(row?.['properties'], /paid/);
  await third.close();
});

t.test('a replay gives no row to what was dropped, while its restriction stands', async (t) => {
  const ofIds = new Map<DistinctId, ReadonlySet<Restriction>>();
  const harness = await workerHarness(t, { restrictions: { ofAll: new Set(), ofIds } });
  const first = await harness.start();
  await harness.capture([{ event: 'before', distinctId: 'bot' }]);
  t.match(await harness.settled(1), { rows: 1 });
  ofIds.set(asDistinctId('bot'), new Set(['drop']));
  await harness.capture([{ event: 'dropped', distinctId: 'bot' }]);
  t.match(await harness.settled(2), { rows: 1, dropped: { restriction: 1 }, imbalance: 0 });
  await first.close();

  const ends = await harness.log.offsets(INGESTION_TOPIC);
  const partition = ends.find(({ end }) => end > 0)?.partition ?? -1;
  await askReplay(harness.postgres, harness.log.identity(), partition, 0);
  const second = await harness.start();
  // It is read behind the others: once it has its fate, so have they.
  await harness.capture([{ event: 'after', distinctId: 'bot' }]);
  t.match(await harness.settled(3), { rows: 0, dropped: { restriction: 3 }, imbalance: 0 });
  const names = (await harness.read('clickhouse_events_json')).map(({ event }) => event);
  t.same(names, ['before'], 'the row that it had stays');
  await second.close();
});

const append = async (): Promise<never> => {
  throw new LogUnavailableError('not yet');
};

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20);
}
