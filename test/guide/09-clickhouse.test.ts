/**
 * 9. What is in ClickHouse
 *
 * The worker writes messages in PostHog's formats, and they become rows of PostHog's tables. A message may come twice,
 * and a later one may come first: every table keeps the right one by itself, if it is asked in the right way.
 */
import t, { type Test } from 'tap';
import { type Row, type Sent, startSystem, uuidOf } from './harness.ts';

const seen = (distinctId: string, properties = {}): Sent => ({
  event: 'seen',
  distinct_id: distinctId,
  properties,
});
const identify = (distinctId: string, anonId: string): Sent => ({
  event: '$identify',
  distinct_id: distinctId,
  properties: { $anon_distinct_id: anonId },
});

async function asked(t: Test, ...batches: readonly (readonly Sent[])[]) {
  const system = await startSystem(t);
  for (const batch of batches) await system.send(...batch);
  await system.picture();
  return { system, sql: await system.clickhouse() };
}

t.test(
  'an event is a row of `events`, with its times to the microsecond and its person’s to the second',
  async (t) => {
    const { sql } = await asked(t, [
      { ...seen('ann', { $session_id: 'S-1', a: 'x' }), timestamp: '2026-11-20T08:00:00.123Z' },
    ]);
    t.match(
      await sql(`SELECT event, distinct_id, team_id, timestamp, created_at, person_id, person_created_at, person_mode,
      historical_migration, JSONExtractString(properties, 'a') AS a, $session_id, elements_chain FROM events`),
      [
        {
          event: 'seen',
          distinct_id: 'ann',
          team_id: 1,
          timestamp: '2026-11-20 08:00:00.123000',
          created_at: '2026-11-22 12:00:00.000000',
          person_id: uuidOf('ann'),
          person_created_at: '2026-11-20 08:00:00.000',
          person_mode: 'full',
          historical_migration: false,
          a: 'x',
          $session_id: 'S-1',
          elements_chain: '',
        },
      ],
    );
  },
);

t.test(
  'the same event is one row, however often it was written: count with FINAL, or count the uuids',
  async (t) => {
    const { system, sql } = await asked(t, [seen('ann')]);
    const [message] = await system.read('clickhouse_events_json');
    await system.insert('events', [asText(message, 10), asText(message, 20)]);
    t.match(await sql('SELECT count() AS rows FROM events FINAL'), [{ rows: 1 }]);
    t.match(await sql('SELECT uniqExact(uuid) AS events FROM events'), [{ events: 1 }]);
  },
);

t.test(
  'an event that comes again with another name or another day is another row: its time is decided once',
  async (t) => {
    const { system, sql } = await asked(t, [seen('ann')]);
    const [message] = await system.read('clickhouse_events_json');
    await system.insert('events', [
      asText({ ...message, timestamp: '2026-11-23 00:00:00.000000' }, 10),
      asText({ ...message, event: 'renamed' }, 10),
    ]);
    t.match(await sql('SELECT count() AS rows, uniqExact(uuid) AS events FROM events FINAL'), [
      { rows: 3, events: 1 },
    ]);
  },
);

t.test(
  '`person` has every version; the newest one counts, and a merged person ends with is_deleted',
  async (t) => {
    const { sql } = await asked(
      t,
      [seen('anon-1', { $set: { a: 1 } }), seen('ann')],
      [identify('ann', 'anon-1')],
    );
    t.match(
      await sql(`SELECT argMax(properties, version) AS properties, argMax(is_identified, version) AS is_identified
      FROM person GROUP BY team_id, id HAVING argMax(is_deleted, version) = 0`),
      [{ properties: /"a":1/, is_identified: 1 }],
    );
    t.match(await sql('SELECT id, version, is_deleted FROM person FINAL ORDER BY version'), [
      { id: uuidOf('ann'), version: 1, is_deleted: 0 },
      { id: uuidOf('anon-1'), version: 100, is_deleted: 1 },
    ]);
  },
);

t.test('a late message about a person changes nothing: a higher version is there', async (t) => {
  const { system, sql } = await asked(
    t,
    [seen('ann', { $set: { a: 1 } })],
    [seen('ann', { $set: { a: 2 } })],
  );
  const [first] = await system.read('clickhouse_person');
  await system.insert('person', [asText(first, 99)]);
  t.match(await sql('SELECT version, properties FROM person FINAL'), [{ version: 1, properties: /"a":2/ }]);
});

t.test(
  'overrides lead early events home: a join gives each event the person that its id has now',
  async (t) => {
    const { sql } = await asked(t, [seen('anon-1'), seen('ann')], [identify('ann', 'anon-1')]);
    t.match(await sql('SELECT distinct_id, person_id, version FROM person_distinct_id_overrides FINAL'), [
      { distinct_id: 'anon-1', person_id: uuidOf('ann'), version: 1 },
    ]);
    const home = await sql(`
    SELECT e.distinct_id AS distinct_id, e.person_id AS written,
      if(o.version > 0, o.person_id, e.person_id) AS now
    FROM events AS e
    LEFT JOIN (SELECT * FROM person_distinct_id_overrides FINAL) AS o
      ON o.team_id = e.team_id AND o.distinct_id = e.distinct_id
    ORDER BY e.uuid`);
    t.match(home, [
      { distinct_id: 'anon-1', written: uuidOf('anon-1'), now: uuidOf('ann') },
      { distinct_id: 'ann', written: uuidOf('ann'), now: uuidOf('ann') },
      { distinct_id: 'ann', written: uuidOf('ann'), now: uuidOf('ann') },
    ]);
  },
);

t.test('an id whose events carry its person from the start needs no override', async (t) => {
  const { sql } = await asked(t, [seen('ann')], [seen('ann')]);
  t.match(await sql('SELECT distinct_id, version FROM person_distinct_id2 FINAL'), [{ version: 0 }]);
  t.same(await sql('SELECT * FROM person_distinct_id_overrides'), []);
});

t.test('`groups` keeps the highest version, whatever came last', async (t) => {
  const describe = (plan: string): Sent => ({
    event: '$groupidentify',
    distinct_id: 'ann',
    properties: { $group_type: 'company', $group_key: 'acme', $group_set: { plan } },
  });
  const { system, sql } = await asked(t, [describe('free')], [describe('pro')]);
  const [first] = await system.read('clickhouse_groups');
  await system.insert('groups', [asText(first, 99)]);
  t.match(await sql('SELECT group_key, group_properties, version FROM groups FINAL'), [
    { group_key: 'acme', group_properties: '{"plan":"pro"}', version: 2 },
  ]);
});

t.test(
  'a click is kept as its chain of elements: sorted, quoted, and no longer among the properties',
  async (t) => {
    const { sql } = await asked(t, [
      {
        event: '$autocapture',
        distinct_id: 'ann',
        properties: {
          $elements: [
            {
              tag_name: 'a',
              $el_text: 'Say "hi"',
              attr__class: 'link big',
              attr__href: '/x',
              attr__id: 'go',
              nth_child: 2,
              nth_of_type: 1,
            },
            { tag_name: 'div' },
          ],
        },
      },
      { event: '$autocapture', distinct_id: 'ann', properties: { $elements_chain: 'span:nth-child="1"' } },
    ]);
    t.match(await sql('SELECT elements_chain, properties FROM events ORDER BY uuid'), [
      {
        elements_chain:
          'a.big.link:attr__class="link big"attr__href="/x"attr__id="go"attr_id="go"href="/x"nth-child="2"' +
          'nth-of-type="1"text="Say \\"hi\\"";div:nth-child="0"nth-of-type="0"',
      },
      { elements_chain: 'span:nth-child="1"' },
    ]);
    t.match(await sql("SELECT count() AS left FROM events WHERE properties LIKE '%$elements%'"), [
      { left: 0 },
    ]);
  },
);

t.test('a time long ago is kept as it is', async (t) => {
  const { sql } = await asked(t, [{ ...seen('ann'), timestamp: '0001-01-01T00:00:00Z' }]);
  t.match(await sql('SELECT timestamp FROM events'), [{ timestamp: '0001-01-01 00:00:00.000000' }]);
});

/** A message as the loader makes it a row: with the record's time, in seconds. */
function asText(message: Row | undefined, _timestamp: number): string {
  const texts = Object.entries(message ?? {}).map(([name, value]) => [
    name,
    /properties$/.test(name) ? JSON.stringify(value) : value,
  ]);
  return JSON.stringify({ ...Object.fromEntries(texts), _timestamp, _offset: 0 });
}
