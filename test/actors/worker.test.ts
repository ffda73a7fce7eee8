import t from 'tap';
import { asDistinctId } from '../../src/event/ids.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { type Harness, type Row, refusing, TEAM, workerHarness } from './worker-harness.ts';

const uuidOf = (distinctId: string) => derivePersonUuid(TEAM, asDistinctId(distinctId));

/** Rows by their events' names: the topic's partitions have no order among themselves. */
const inOrder = (rows: readonly Row[], names: readonly string[]): Row[] =>
  rows.toSorted((a, b) => names.indexOf(String(a['event'])) - names.indexOf(String(b['event'])));

async function propertiesOf({ postgres }: Harness, distinctId: string): Promise<Record<string, unknown>> {
  const { rows } = await postgres.query<{ properties: Record<string, unknown> }>(
    `SELECT p.properties - '$creator_event_uuid' AS properties FROM posthog_person p
     JOIN posthog_persondistinctid d ON d.person_id = p.id WHERE d.distinct_id = $1`,
    [distinctId],
  );
  const [row, ...more] = rows;
  if (row === undefined || more.length > 0) throw new Error(`${rows.length} persons for ${distinctId}`);
  return row.properties;
}

t.test('an event becomes a row that shows its new person', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  await harness.capture([
    { event: 'signup', distinctId: 'ann', properties: { $set: { plan: 'free' }, $set_once: { from: 'ad' } } },
    {
      event: 'upgrade',
      distinctId: 'ann',
      properties: { $set: { plan: 'pro' }, $set_once: { from: 'mail' } },
    },
  ]);
  const books = await harness.settled(2);
  t.match(books, { rows: 2, imbalance: 0, dropped: {}, dead_lettered: {} });

  const rows = inOrder(await harness.read('clickhouse_events_json'), ['signup', 'upgrade']);
  t.same(
    rows.map(({ event, person_id, person_mode }) => ({ event, person_id, person_mode })),
    [
      { event: 'signup', person_id: uuidOf('ann'), person_mode: 'full' },
      { event: 'upgrade', person_id: uuidOf('ann'), person_mode: 'full' },
    ],
  );
  t.match(JSON.parse(String(rows[0]?.['person_properties'])), { plan: 'free', from: 'ad' });
  t.match(JSON.parse(String(rows[1]?.['person_properties'])), { plan: 'pro', from: 'ad' });
  t.same(await propertiesOf(harness, 'ann'), { plan: 'pro', from: 'ad' });

  const mappings = await harness.read('clickhouse_person_distinct_id');
  t.match(mappings, [{ distinct_id: 'ann', person_id: uuidOf('ann'), version: 0, team_id: TEAM }]);
  await worker.close();
});

t.test('events without a profile leave no person behind, and see one that is there', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const personless = { $process_person_profile: false, $set: { a: 1 } };
  await harness.capture([{ event: 'look', distinctId: 'anon', properties: personless }]);
  await harness.settled(1);
  t.equal((await harness.postgres.query('SELECT 1 FROM posthog_person')).rowCount, 0);
  await harness.capture([
    { event: 'buy', distinctId: 'anon', properties: { $set: { b: 2 } } },
    { event: 'look again', distinctId: 'anon', properties: personless },
  ]);
  await harness.settled(3);
  const rows = inOrder(await harness.read('clickhouse_events_json'), ['look', 'buy', 'look again']);
  t.same(
    rows.map(({ event, person_id, person_mode, person_properties }) => [
      event,
      person_id,
      person_mode,
      Object.keys(JSON.parse(String(person_properties))).length,
    ]),
    [
      ['look', uuidOf('anon'), 'propertyless', 0],
      ['buy', uuidOf('anon'), 'full', 2],
      ['look again', uuidOf('anon'), 'propertyless', 0],
    ],
  );
  t.equal(JSON.parse(String(rows[0]?.['properties'])).$set, undefined, 'and its $set is gone');
  await worker.close();
});

t.test('every record ends in one fate with a reason', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const uuid = '01890000-0000-7000-8000-000000000001';
  await harness.capture([
    { event: 'a', distinctId: 'x', uuid },
    { event: 'a', distinctId: 'x', uuid },
    { event: 'a', distinctId: 'x', token: 'phc_nobody' },
    { event: 'a', distinctId: '$posthog_cookieless', properties: { $cookieless_mode: true } },
    { event: '$$client_ingestion_warning', distinctId: 'x' },
    { event: '$identify', distinctId: 'x', properties: { $process_person_profile: false } },
  ]);
  await harness.log.append([
    {
      topic: 'events_plugin_ingestion',
      key: 'x',
      value: Buffer.from([0xff, 0xfe]),
      headers: {},
      timestamp: Date.now(),
    },
  ]);
  t.match(await harness.settled(7), {
    acknowledged: 7,
    rows: 1,
    dropped: {
      unknown_token: 1,
      duplicate: 1,
      cookieless_not_supported: 1,
      client_ingestion_warning: 1,
      invalid_event_when_process_person_profile_is_false: 1,
    },
    dead_lettered: { malformed_record: 1 },
    imbalance: 0,
  });
  const [letter] = await harness.read('events_dead_letter_queue');
  t.match(letter, { error: 'malformed_record', error_location: 'decode', raw_payload: 'base64://4=' });
  const warnings = await harness.read('clickhouse_ingestion_warnings');
  t.same(warnings.map(({ type }) => type).toSorted(), [
    'client_ingestion_warning',
    'cookieless_not_supported',
    'invalid_event_when_process_person_profile_is_false',
  ]);
  await worker.close();
});

t.test('a person that somebody else changed meanwhile is folded again on its row', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  await harness.capture([{ event: 'a', distinctId: 'ann', properties: { $set: { a: 1 } } }]);
  await harness.settled(1);
  await harness.postgres.query(
    `UPDATE posthog_person SET properties = properties || '{"b": 2}', version = version + 7`,
  );
  await harness.capture([{ event: 'a', distinctId: 'ann', properties: { $set_once: { a: 9, b: 9, c: 3 } } }]);
  await harness.settled(2);
  t.same(await propertiesOf(harness, 'ann'), { a: 1, b: 2, c: 3 });
  const { rows } = await harness.postgres.query('SELECT version FROM posthog_person');
  t.same(rows, [{ version: 8 }]);
  await worker.close();
});

t.test('an id that somebody else gave to another person is read again, and its work redone', async (t) => {
  const harness = await workerHarness(t);
  const { postgres } = harness;
  const worker = await harness.start();
  await harness.capture([
    { event: 'a', distinctId: 'ann', properties: { $set: { a: 1 } } },
    { event: 'a', distinctId: 'bob', properties: { $set: { b: 1 } } },
  ]);
  await harness.settled(2);
  await postgres.query(
    `UPDATE posthog_persondistinctid SET version = 1,
       person_id = (SELECT id FROM posthog_person WHERE uuid = $1) WHERE distinct_id = 'bob'`,
    [uuidOf('ann')],
  );
  await harness.capture([{ event: 'later', distinctId: 'bob', properties: { $set: { c: 1 } } }]);
  await harness.settled(3);
  t.same(await propertiesOf(harness, 'ann'), { a: 1, c: 1 });
  const later = (await harness.read('clickhouse_events_json')).find(({ event }) => event === 'later');
  t.equal(later?.['person_id'], uuidOf('ann'));
  t.match(await harness.metrics.text(), /tributary_worker_broken_beliefs_total 1/);
  await worker.close();
});

t.test(
  'a partition taken by somebody else is fenced off, and taken again while it is still assigned',
  async (t) => {
    const harness = await workerHarness(t);
    const worker = await harness.start();
    await harness.capture([{ event: 'a', distinctId: 'ann', properties: { $set: { a: 1 } } }]);
    await harness.settled(1);
    await harness.postgres.query('UPDATE tributary_partition SET epoch = epoch + 1');
    await harness.capture([{ event: 'a', distinctId: 'ann', properties: { $set: { a: 2 } } }]);
    t.match(await harness.settled(2), { rows: 2, imbalance: 0 });
    t.same(await propertiesOf(harness, 'ann'), { a: 2 });
    t.match(await harness.metrics.text(), /tributary_worker_recoveries_total [1-9]/);
    await worker.close();
  },
);

t.test('data that Postgres refuses costs its own event, and no other', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start(refusing);
  await harness.capture([
    { event: 'a', distinctId: 'ann', properties: { $set: { a: 1 } } },
    { event: 'before', distinctId: 'bob', properties: { $set: { b: 1 } } },
    { event: 'huge', distinctId: 'bob', properties: { $set: { huge: true } } },
    { event: 'after', distinctId: 'bob', properties: { $set: { c: 1 } } },
    { event: 'alone', distinctId: 'cy', properties: { $set: { huge: true } } },
    { event: 'a', distinctId: 'cy', properties: { $set: { d: 1 } } },
  ]);
  t.match(await harness.settled(6), { rows: 4, dead_lettered: { refused_by_postgres: 2 }, imbalance: 0 });
  t.same(await propertiesOf(harness, 'ann'), { a: 1 });
  t.same(await propertiesOf(harness, 'bob'), { b: 1, c: 1 });
  t.same(await propertiesOf(harness, 'cy'), { d: 1 });
  const letters = await harness.read('events_dead_letter_queue');
  t.same(letters.map(({ event }) => event).toSorted(), ['alone', 'huge']);
  await worker.close();
});

t.test('a person at the size limit takes no more, keeps every row, and says so', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const noise = Array.from({ length: 45_000 }, (_, index) => (index * 2_654_435_761).toString(36)).join('');
  await harness.capture([
    { event: 'large', distinctId: 'bob', properties: { $set: { large: noise } } },
    { event: 'larger', distinctId: 'bob', properties: { $set: { larger: noise } } },
    { event: 'small', distinctId: 'bob', properties: { $set: { small: 1 } } },
    { event: 'large', distinctId: 'cy', properties: { $set: { large: noise, mine: noise } } },
    { event: '$merge_dangerously', distinctId: 'dee', properties: { alias: 'bob', $set: { other: 1 } } },
  ]);
  t.match(await harness.settled(5), { rows: 5, dead_lettered: {}, imbalance: 0 });
  const keys = Object.keys(await propertiesOf(harness, 'dee')).toSorted();
  t.same(keys, ['large', 'other', 'small']);
  t.same(await propertiesOf(harness, 'cy'), {});
  const warnings = await harness.read('clickhouse_ingestion_warnings');
  t.same(
    warnings.map(({ type }) => type),
    ['person_properties_size_violation', 'person_properties_size_violation'],
  );
  await worker.close();
});
