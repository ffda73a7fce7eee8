/** What was read, believed or decided, and was overtaken before it was used. */
import t from 'tap';
import { captureKey } from '../../src/event/captured.ts';
import { asDistinctId } from '../../src/event/ids.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { until } from '../support/event-log.ts';
import { type ClientEvent, TEAM, TOKEN, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const seen = (distinctId: string, event = 'seen'): ClientEvent => ({
  event,
  distinctId,
  properties: { $device_id: distinctId },
});
const merge = (distinctId: string, other: string): ClientEvent => ({
  event: '$merge_dangerously',
  distinctId,
  properties: { alias: other },
});
const uuidOf = (distinctId: string) => derivePersonUuid(TEAM, asDistinctId(distinctId));

/** Ids whose records are in one order. */
const ofOnePartition = Array.from({ length: 20 }, (_, index) => `id-${index}`).filter(
  (id) => partitionOf(captureKey(TOKEN, asDistinctId(id)), 2) === 0,
);

t.test('an answer that a merge has overtaken brings nobody back', async (t) => {
  const harness = await workerHarness(t);
  const before = await harness.start();
  await harness.capture([seen('a1'), seen('b'), seen('d'), merge('a1', 'a2')]);
  await harness.settled(4);
  await before.close();

  // Nothing is cached; the answer about a2 is from before the merge, and comes after it.
  const asked: string[] = [];
  let saves = 0;
  let isLate = false;
  const late = (store: PersonStore): PersonStore => ({
    ...store,
    async findByIds(ids) {
      const found = await store.findByIds(ids);
      for (const { distinctId } of ids) asked.push(distinctId);
      if (!isLate && ids.length === 1 && ids[0]?.distinctId === 'a2') {
        isLate = true;
        await until(() => saves > 0);
        await pause(20);
      }
      return found;
    },
    async save(partitions, works) {
      await until(() => isLate);
      const saved = await store.save(partitions, works);
      saves += 1;
      return saved;
    },
  });
  const worker = await harness.start(late);
  await harness.capture([merge('b', 'a1')]);
  await until(() => asked.includes('a1'));
  await harness.capture([{ event: 'first', distinctId: 'a2' }]);
  await harness.settled(6);
  await harness.capture([{ event: 'second', distinctId: 'a2' }]);
  await harness.settled(7);
  await harness.capture([merge('d', 'b'), { event: 'third', distinctId: 'a2' }]);
  await harness.settled(9);
  await harness.capture([{ event: 'fourth', distinctId: 'a2' }]);
  t.match(await harness.settled(10), { rows: 10, imbalance: 0 });
  const rows = await harness.read('clickhouse_events_json');
  const personOn = (event: string) => rows.find((row) => row['event'] === event)?.['person_id'];
  t.equal(personOn('second'), uuidOf('b'));
  t.equal(personOn('fourth'), uuidOf('d'));
  await worker.close();
});

t.test('changes of one group go in the order of the log, whoever sends them', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start(undefined, { limits: { flushLingerMs: 200 } });
  const [x = '', y = ''] = ofOnePartition;
  const describe = (distinctId: string, n: number): ClientEvent => ({
    event: '$groupidentify',
    distinctId,
    properties: { $group_type: 'company', $group_key: 'acme', $group_set: { n } },
  });
  await harness.capture([{ event: 'first', distinctId: y }, describe(x, 1), describe(y, 2)]);
  await harness.settled(3);
  const { rows } = await harness.postgres.query('SELECT group_properties FROM posthog_group');
  t.same(rows, [{ group_properties: { n: 2 } }]);
  await worker.close();
});

t.test('events without a profile take no place among the group types', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  await harness.capture([
    {
      event: 'quiet',
      distinctId: 'ann',
      properties: { $process_person_profile: false, $groups: { accident: 'k' }, $group_0: 'mine' },
    },
  ]);
  await harness.settled(1);
  const { rows } = await harness.postgres.query('SELECT * FROM posthog_grouptypemapping');
  t.same(rows, []);
  const [row] = await harness.read('clickhouse_events_json');
  t.notOk('$group_0' in JSON.parse(String(row?.['properties'])), 'and keep no group of their own');
  await worker.close();
});

t.test('aliases in a circle end as one person', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const ids = ofOnePartition.slice(0, 3);
  const [a = '', b = '', c = ''] = ids;
  await harness.capture(ids.map((id) => seen(id)));
  await harness.settled(3);
  const alias = (distinctId: string, other: string): ClientEvent => ({
    event: '$create_alias',
    distinctId,
    properties: { alias: other },
  });
  await harness.capture([alias(a, b), alias(b, c), alias(c, a), alias(b, a), alias(a, a)]);
  t.match(await harness.settled(8), { rows: 8, imbalance: 0 });
  const { rows } = await harness.postgres.query(
    'SELECT count(DISTINCT person_id)::int AS persons, count(*)::int AS ids FROM posthog_persondistinctid',
  );
  t.same(rows, [{ persons: 1, ids: 3 }]);
  await worker.close();
});

t.test('a project that keeps no persons drops what is about persons, and says so', async (t) => {
  const harness = await workerHarness(t, { personProcessingOptOut: true });
  const worker = await harness.start();
  await harness.capture([
    { event: 'plain', distinctId: 'ann' },
    { event: '$identify', distinctId: 'ann', properties: { $anon_distinct_id: 'anon' } },
    { event: '$create_alias', distinctId: 'ann', properties: { alias: 'other' } },
  ]);
  const reason = 'invalid_event_when_process_person_profile_is_false';
  t.match(await harness.settled(3), { rows: 1, dropped: { [reason]: 2 }, imbalance: 0 });
  const warnings = await harness.read('clickhouse_ingestion_warnings');
  t.match(warnings, [{ type: reason }], 'one for both: same type, same id, same hour');
  t.same((await harness.postgres.query('SELECT * FROM posthog_person')).rows, []);
  await worker.close();
});
