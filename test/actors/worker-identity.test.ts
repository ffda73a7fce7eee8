import t, { type Test } from 'tap';
import type { Worker } from '../../src/actors/worker.ts';
import { asDistinctId } from '../../src/event/ids.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { until } from '../support/event-log.ts';
import { type ClientEvent, type Harness, TEAM, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

/** As a web SDK sends it before anybody has logged in. */
const anonymous = (event: string, distinctId: string): ClientEvent => ({
  event,
  distinctId,
  properties: { $device_id: distinctId },
});
const identify = (distinctId: string, anonId: string, set: object = {}): ClientEvent => ({
  event: '$identify',
  distinctId,
  properties: { $anon_distinct_id: anonId, $set: set },
});
const alias = (distinctId: string, other: unknown, event = '$create_alias'): ClientEvent => ({
  event,
  distinctId,
  properties: { alias: other },
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Distinct ids by person, each person's ids in order. */
async function persons({ postgres }: Harness): Promise<string[]> {
  const { rows } = await postgres.query<{ ids: string }>(
    `SELECT string_agg(d.distinct_id, ' ' ORDER BY d.distinct_id) AS ids
     FROM posthog_person p JOIN posthog_persondistinctid d ON d.person_id = p.id GROUP BY p.id ORDER BY 1`,
  );
  return rows.map(({ ids }) => ids);
}

/** Rows in the order of their records, persons numbered in order of appearance: the seed's tables. */
async function table(harness: Harness, order: readonly string[]): Promise<string[]> {
  const rows = await harness.read('clickhouse_events_json');
  const numbers = new Map<unknown, number>();
  return order.map((uuid) => {
    const row = rows.find((one) => one['uuid'] === uuid);
    const person = row?.['person_id'];
    if (!numbers.has(person)) numbers.set(person, numbers.size + 1);
    return `${row?.['event']} ${row?.['distinct_id']} user-${numbers.get(person)}`;
  });
}

const uuidOf = (index: number): string => `0199aaaa-0000-7000-8000-${String(index).padStart(12, '0')}`;

/** Captures one after another, each saved before the next unless it is held. */
async function series(
  t: Test,
  events: readonly ClientEvent[],
  holdMs: number,
): Promise<{ harness: Harness; worker: Worker; order: string[] }> {
  const harness = await workerHarness(t);
  const worker = await harness.start(undefined, { holdMs });
  const order: string[] = [];
  for (const [index, event] of events.entries()) {
    await harness.capture([{ ...event, uuid: uuidOf(index) }]);
    order.push(uuidOf(index));
    await harness.settled(index + 1);
  }
  return { harness, worker, order };
}

const SIGN_UP = [
  anonymous('pageview', 'anon-1'),
  { event: 'backend signup', distinctId: 'Alice' },
  identify('Alice', 'anon-1'),
];

t.test('without a hold a late identify leaves two persons in the events', async (t) => {
  const { harness, worker, order } = await series(t, SIGN_UP, 0);
  t.same(await table(harness, order), [
    'pageview anon-1 user-1',
    'backend signup Alice user-2',
    '$identify Alice user-2',
  ]);
  t.same(await persons(harness), ['Alice anon-1']);
  await worker.close();
});

t.test('held, the event that came before the identify is on the same person', async (t) => {
  const { harness, worker, order } = await series(t, SIGN_UP, 5_000);
  t.same(await table(harness, order), [
    'pageview anon-1 user-1',
    'backend signup Alice user-1',
    '$identify Alice user-1',
  ]);
  t.same(await persons(harness), ['Alice anon-1']);
  t.match(worker.held(uuidOf(1)), { state: 'released', by: 'person', byEvent: { name: '$identify' } });
  await worker.close();
});

t.test('a second device becomes a second person until its login', async (t) => {
  const events = [
    anonymous('pageview', 'anon-1'),
    identify('Alice', 'anon-1'),
    anonymous('pageview', 'anon-2'),
    identify('Alice', 'anon-2'),
  ];
  const { harness, worker, order } = await series(t, events, 5_000);
  t.same(await table(harness, order), [
    'pageview anon-1 user-1',
    '$identify Alice user-1',
    'pageview anon-2 user-2',
    '$identify Alice user-1',
  ]);
  t.same(await persons(harness), ['Alice anon-1 anon-2']);
  const deleted = (await harness.read('clickhouse_person')).filter(({ is_deleted }) => is_deleted === 1);
  t.match(deleted, [{ id: derivePersonUuid(TEAM, asDistinctId('anon-2')), version: 100 }]);
  const mappings = await harness.read('clickhouse_person_distinct_id');
  t.match(
    mappings
      .filter(({ distinct_id }) => distinct_id === 'anon-2')
      .map(({ version }) => version)
      .toSorted(),
    [0, 1],
    'an override leads home',
  );
  await worker.close();
});

t.test('a held event goes on by itself when nobody comes', async (t) => {
  const harness = await workerHarness(t);
  const holdMs = 3_000;
  const worker = await harness.start(undefined, { holdMs });
  const begun = Date.now();
  await harness.capture([{ event: 'backend signup', distinctId: 'Alice', uuid: uuidOf(0) }]);
  await until(() => worker.held(uuidOf(0)) !== undefined);
  t.match(worker.held(uuidOf(0)), { state: 'held', distinctId: 'Alice', events: 1 });
  t.match(await harness.settled(1), { held: 1, imbalance: 0, rows: 0 });
  await until(async () => (await harness.settled(1)).held === 0);
  t.match(await harness.settled(1), { rows: 1, imbalance: 0 });
  const waitedMs = Date.now() - begun;
  t.ok(waitedMs >= holdMs, `${waitedMs} ms`);
  t.match(worker.held(uuidOf(0)), { state: 'released', by: 'time' });
  await worker.close();
});

t.test('merges, refusals and chains in one batch end as one after another would', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  await harness.capture([
    { event: 'a', distinctId: 'a', properties: { $set: { from: 'a', a: 1 } } },
    { event: 'b', distinctId: 'b', properties: { $set: { from: 'b', b: 1 } } },
    { event: 'c', distinctId: 'c', properties: { $set: { from: 'c', c: 1 } } },
    identify('b', 'a', { x: 1 }),
    identify('c', 'b', { x: 2 }),
    alias('c', 'd'),
    alias('c', 'b', '$merge_dangerously'),
    { event: 'late', distinctId: 'a', properties: { $set: { late: 1 } } },
  ]);
  t.match(await harness.settled(8), { rows: 8, imbalance: 0 });
  t.same(await persons(harness), ['a b c d']);
  const { rows } = await harness.postgres.query<{
    properties: Record<string, unknown>;
    is_identified: boolean;
  }>('SELECT properties, is_identified FROM posthog_person');
  t.match(rows, [{ properties: { from: 'c', a: 1, b: 1, c: 1, x: 2, late: 1 }, is_identified: true }]);
  const warnings = await harness.read('clickhouse_ingestion_warnings');
  t.same(
    warnings.map(({ type }) => type),
    ['cannot_merge_already_identified'],
  );
  await worker.close();
});

t.test('ids that nobody can be merge with nobody, and say so', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const long = 'x'.repeat(10_000);
  await harness.capture([
    identify('ann', ''),
    identify('ann', '  '),
    identify('ann', 'Undefined'),
    alias('null', 'ann'),
    alias('ann', 7),
    alias('ann', { deep: 1 }),
    identify('ann', long),
    identify('ann', 'ann'),
    alias('ann', 'with\ufffdnul'),
  ]);
  t.match(await harness.settled(9), { rows: 7, dropped: { invalid_alias: 2 }, imbalance: 0 });
  t.same(await persons(harness), [`ann with\ufffdnul ${'x'.repeat(200)}`, 'null']);
  const types = (await harness.read('clickhouse_ingestion_warnings')).map(({ type }) => type).toSorted();
  t.same(types, [
    'cannot_merge_with_illegal_distinct_id',
    'cannot_merge_with_illegal_distinct_id',
    'cannot_merge_with_illegal_distinct_id',
    'cannot_merge_with_illegal_distinct_id',
    'distinct_id_truncated',
    'invalid_alias',
  ]);
  await worker.close();
});

t.test('a thousand ids become one person in one batch, by alias or by merge', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const ids = Array.from({ length: 500 }, (_, index) => `old-${index}`);
  await harness.capture(ids.map((distinctId) => ({ event: 'seen', distinctId })));
  await harness.settled(500);
  const fresh = Array.from({ length: 500 }, (_, index) => `new-${index}`);
  await harness.capture([...ids, ...fresh].map((id) => alias('hub', id)));
  t.match(await harness.settled(1_500), { rows: 1_500, imbalance: 0 });
  t.equal((await persons(harness)).length, 1);
  const { rows } = await harness.postgres.query('SELECT count(*)::int AS ids FROM posthog_persondistinctid');
  t.same(rows, [{ ids: 1_001 }]);
  await worker.close();
});

t.test('ten thousand held events of one id survive a restart and go on with their identify', async (t) => {
  const harness = await workerHarness(t);
  const first = await harness.start(undefined, { holdMs: 60_000 });
  await harness.capture(Array.from({ length: 10_000 }, () => ({ event: 'held', distinctId: 'Alice' })));
  t.match(await harness.settled(10_000), { held: 10_000, imbalance: 0 });
  await first.close();
  const second = await harness.start(undefined, { holdMs: 60_000 });
  await pause(200);
  t.match(await harness.settled(10_000), { held: 10_000, rows: 0, imbalance: 0 });
  await harness.capture([identify('Alice', 'anon-1')]);
  t.match(await harness.settled(10_001), { held: 0, rows: 10_001, imbalance: 0 });
  t.same(await persons(harness), ['Alice anon-1']);
  await second.abandon();
});

t.test('what is held when a worker stops stays held, however long its last commit takes', async (t) => {
  const harness = await workerHarness(t);
  const holdMs = 2_000;
  const first = await harness.start(undefined, {
    holdMs,
    // Nothing is committed before it stops.
    limits: { progressEveryMs: 60_000, closeCommitMs: 60_000 },
    log: {
      async subscribe(subscriber) {
        const subscription = await harness.log.subscribe(subscriber);
        const commit = subscription.commit.bind(subscription);
        subscription.commit = async (...what) => {
          await pause(holdMs + 500);
          await commit(...what);
        };
        return subscription;
      },
    },
  });
  const distinctId = 'anonymous';
  await harness.capture([
    { event: 'row at once', distinctId, properties: { $process_person_profile: false } },
    { event: 'held', distinctId },
  ]);
  await until(() => first.standings().some(({ held, finished }) => held === 1 && finished === 1));
  await first.close();
  t.same([...(await harness.log.committed('worker', INGESTION_TOPIC)).values()], [1]);
  t.equal((await harness.read('clickhouse_events_json')).length, 1);
  t.same((await harness.postgres.query('SELECT 1 FROM posthog_person')).rows, []);

  const second = await harness.start(undefined, { holdMs: 0 });
  await until(async () => (await harness.settled(2)).rows === 2);
  t.equal((await harness.read('clickhouse_events_json')).length, 2);
  await second.close();
});

t.test('after ten minutes of downtime, identifies that wait in the log still come in time', async (t) => {
  const harness = await workerHarness(t);
  // Long enough to read all of it within; as to the times of the records it is over.
  const holdMs = 60_000;
  const ids = Array.from({ length: 300 }, (_, index) => `user-${index}`);
  await harness.capture(
    ids.map((distinctId) => ({ event: 'signup', distinctId })),
    601_000,
  );
  await harness.capture(
    Array.from({ length: 3_000 }, (_, index) => anonymous('pageview', `visitor-${index % 100}`)),
    600_500,
  );
  await harness.capture(
    ids.map((id) => identify(id, `anon-${id}`)),
    600_200,
  );
  // Small steps, so that the time of many held events is over long before their identify is read.
  const worker = await harness.start(undefined, { holdMs, limits: { pollRecordsMax: 50 } });
  t.match(await harness.settled(3_600), { held: 0, rows: 3_600, imbalance: 0 });
  const { rows } = await harness.postgres.query('SELECT count(*)::int AS persons FROM posthog_person');
  t.same(rows, [{ persons: 400 }]);
  t.notMatch(await harness.metrics.text(), /released_total\{reason="time"\} [1-9]/);
  await worker.close();
});

t.test('past the bound of memory the oldest held events go early', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start(undefined, { holdMs: 60_000, holdBytesMax: 20_000 });
  const events = Array.from({ length: 200 }, (_, index) => ({ event: 'e', distinctId: `id-${index}` }));
  await harness.capture(events);
  const books = await harness.settled(200);
  t.ok(books.held > 0 && books.held < 40, `${books.held} are still held`);
  t.equal(books.held + books.rows, 200);
  await worker.close();
});

t.test('groups: five types, properties on rows, one version more for each save', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const describe = (type: string, key: unknown, set?: object): ClientEvent => ({
    event: '$groupidentify',
    distinctId: `$${type}_${key}`,
    properties: { $group_type: type, $group_key: key, $group_set: set },
  });
  await harness.capture([describe('company', 'acme', { plan: 'pro' })]);
  await harness.settled(1);
  await harness.capture([describe('company', 'acme', { seats: 5 }), describe('team', 7)]);
  await harness.settled(3);
  await harness.capture([
    { event: 'paid', distinctId: 'ann', properties: { $groups: { company: 'acme', team: 7 } } },
    ...['t2', 't3', 't4', 't5'].map((type) => describe(type, 'k')),
  ]);
  t.match(await harness.settled(8), { rows: 8, imbalance: 0 });
  const { rows: types } = await harness.postgres.query(
    'SELECT group_type, group_type_index FROM posthog_grouptypemapping ORDER BY 2',
  );
  t.match(types, [{ group_type: 'company' }, { group_type: 'team' }, {}, {}, {}]);
  const rows = await harness.read('clickhouse_events_json');
  const paid = rows.find(({ event }) => event === 'paid');
  t.match(paid, { group0_properties: '{"plan":"pro","seats":5}', group1_properties: '{}' });
  t.match(JSON.parse(String(paid?.['properties'])), { $group_0: 'acme', $group_1: '7' });
  const groups = await harness.read('clickhouse_groups');
  const versions = groups.filter(({ group_key }) => group_key === 'acme').map(({ version }) => version);
  t.same(versions.toSorted(), [1, 2]);
  const warnings = await harness.read('clickhouse_ingestion_warnings');
  t.match(warnings, [{ type: 'too_many_group_types' }]);
  await worker.close();
});
