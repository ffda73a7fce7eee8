/**
 * 7. What is in Postgres, and what is told of it
 *
 * Persons, their ids and groups are in PostHog's own tables, so that a PostHog can stand on the same database. Beside
 * them, in tables of our own, is what makes a replay harmless: which offsets were folded, and who took whose place.
 * Every change leaves as a message for ClickHouse, after Postgres has it.
 */
import t from 'tap';
import { recordsOf } from '../support/clickhouse-rows.ts';
import { eventUuid, type Row, type System, startSystem, uuidOf } from './harness.ts';

const table = async ({ postgres }: System, sql: string): Promise<readonly Row[]> =>
  (await postgres.query<Row>(sql)).rows;

async function annAndHerCompany(t: Parameters<typeof startSystem>[0]): Promise<System> {
  const system = await startSystem(t);
  await system.send(
    { event: 'opened', distinct_id: 'anon-1', properties: { $set: { a: 1 } } },
    { event: 'opened', distinct_id: 'ann', properties: { $set: { b: 2 } } },
    {
      event: '$groupidentify',
      distinct_id: 'ann',
      properties: { $group_type: 'company', $group_key: 'acme', $group_set: { seats: 5 } },
    },
  );
  await system.send({ event: '$identify', distinct_id: 'ann', properties: { $anon_distinct_id: 'anon-1' } });
  return system;
}

t.test('posthog_person has one row for each person that is there', async (t) => {
  const system = await annAndHerCompany(t);
  t.same(
    await table(
      system,
      `SELECT team_id, uuid, is_identified, is_user_id, version::int AS version, properties FROM posthog_person`,
    ),
    [
      {
        team_id: 1,
        uuid: uuidOf('ann'),
        is_identified: true,
        is_user_id: null,
        version: 1,
        properties: { a: 1, b: 2, $creator_event_uuid: eventUuid(2) },
      },
    ],
  );
});

t.test(
  'posthog_persondistinctid leads each distinct id to its person; a merge moves it with version + 1',
  async (t) => {
    const system = await annAndHerCompany(t);
    t.same(
      await table(
        system,
        `SELECT d.distinct_id, p.uuid, d.version::int AS version FROM posthog_persondistinctid d
       JOIN posthog_person p ON p.id = d.person_id ORDER BY 1`,
      ),
      [
        { distinct_id: 'ann', uuid: uuidOf('ann'), version: 0 },
        { distinct_id: 'anon-1', uuid: uuidOf('ann'), version: 1 },
      ],
    );
  },
);

t.test(
  'posthog_grouptypemapping gives each group type its place, posthog_group has the groups',
  async (t) => {
    const system = await annAndHerCompany(t);
    t.same(await table(system, 'SELECT group_type, group_type_index FROM posthog_grouptypemapping'), [
      { group_type: 'company', group_type_index: 0 },
    ]);
    t.same(
      await table(
        system,
        'SELECT group_type_index, group_key, group_properties, version::int AS version FROM posthog_group',
      ),
      [{ group_type_index: 0, group_key: 'acme', group_properties: { seats: 5 }, version: 1 }],
    );
  },
);

t.test('tributary_merged names who took the place of a person that is gone', async (t) => {
  const system = await annAndHerCompany(t);
  t.match(await table(system, 'SELECT uuid, into_uuid FROM tributary_merged'), [
    { uuid: uuidOf('anon-1'), into_uuid: uuidOf('ann') },
  ]);
});

t.test('an event that changes nothing writes nothing about its person', async (t) => {
  const system = await startSystem(t);
  await system.send({ event: 'opened', distinct_id: 'ann' });
  const before = await table(system, 'SELECT xmin::text, * FROM posthog_person');
  await system.send({ event: 'opened', distinct_id: 'ann' }, { event: 'closed', distinct_id: 'ann' });
  t.same(await table(system, 'SELECT xmin::text, * FROM posthog_person'), before);
});

t.test('a distinct id of 200 characters has its place, whatever script they are of', async (t) => {
  const system = await startSystem(t);
  const long = '𝕏'.repeat(200);
  await system.send({ event: 'opened', distinct_id: long });
  t.match((await system.picture()).persons, [{ ids: long }]);
});

t.test(
  'a person and its id leave as messages with these fields, and with uuid and version in their headers',
  async (t) => {
    const system = await startSystem(t);
    await system.send({ event: 'opened', distinct_id: 'ann', properties: { $set: { a: 1 } } });
    t.same(await system.read('clickhouse_person'), [
      {
        id: uuidOf('ann'),
        created_at: '2026-11-22 12:00:00',
        team_id: 1,
        properties: { a: 1, $creator_event_uuid: eventUuid(1) },
        is_identified: 0,
        is_deleted: 0,
        version: 0,
      },
    ]);
    t.same(await system.read('clickhouse_person_distinct_id'), [
      { team_id: 1, distinct_id: 'ann', person_id: uuidOf('ann'), version: 0, is_deleted: 0 },
    ]);
    const envelopes = async (topic: Parameters<typeof recordsOf>[1]) =>
      (await recordsOf(system.log, topic)).map(({ key, headers }) => ({ key, headers }));
    t.match(await envelopes('clickhouse_person'), [
      { key: uuidOf('ann'), headers: { team: '1', uuid: uuidOf('ann'), version: '0' } },
    ]);
    t.match(await envelopes('clickhouse_person_distinct_id'), [
      { key: 'ann', headers: { team: '1', uuid: uuidOf('ann'), version: '0' } },
    ]);
    t.match(await envelopes('clickhouse_events_json'), [{ key: eventUuid(1) }]);
  },
);
