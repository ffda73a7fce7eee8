/**
 * 11. What is refused, and where to read of it
 *
 * A client that sends something that cannot be done is not told: the answer went out long before. It is told in
 * ClickHouse, in `ingestion_warnings`: one row for each type and each thing it is about in an hour. The `details` say
 * which event it was. The event itself has its row all the same, unless it is said here that it has not.
 */
import t from 'tap';
import type { JsonObject } from '../../src/event/json.ts';
import { eventUuid, type Row, type Sent, type System, startSystem, uuidOf } from './harness.ts';

const identify = (distinctId: string, anonId: string): Sent => ({
  event: '$identify',
  distinct_id: distinctId,
  properties: { $anon_distinct_id: anonId },
});
const alias = (distinctId: string, other: string): Sent => ({
  event: '$create_alias',
  distinct_id: distinctId,
  properties: { alias: other },
});

/** How a user finds the warnings of a project, the newest first. */
const WARNINGS = `
  SELECT type, source, timestamp, JSONExtractString(details, 'eventUuid') AS event_uuid, details
  FROM ingestion_warnings
  WHERE team_id = 1 AND timestamp > toDateTime('2026-11-22 00:00:00')
  ORDER BY timestamp DESC, type, details`;

/** How a user finds what was wrong with one event. */
const OF_EVENT = (uuid: string): string =>
  `SELECT type, details FROM ingestion_warnings WHERE JSONExtractString(details, 'eventUuid') = '${uuid}'`;

type Warning = Row & { readonly details: JsonObject };

const detailsOf = (row: Row | undefined): JsonObject => JSON.parse(String(row?.['details']));

/** The warnings in ClickHouse, each with its details parsed, and the names of the events there. */
async function inClickHouse(system: System) {
  const sql = await system.clickhouse();
  const warnings = (await sql(WARNINGS)).map((row): Warning => ({ ...row, details: detailsOf(row) }));
  const events = await sql('SELECT event, distinct_id, person_id FROM events ORDER BY uuid');
  return { sql, warnings, events };
}

t.test('a source that is identified already: refused; event and $set count', async (t) => {
  const system = await startSystem(t);
  await system.send(identify('ann', 'anon-1'), identify('bob', 'anon-2'));
  await system.send({
    event: '$identify',
    distinct_id: 'bob',
    properties: { $anon_distinct_id: 'ann', $set: { name: 'Bob' } },
  });
  const { sql, warnings, events } = await inClickHouse(system);
  t.match(warnings, [
    {
      type: 'cannot_merge_already_identified',
      source: 'tributary',
      timestamp: '2026-11-22 12:00:00.000000',
      event_uuid: eventUuid(3),
      details: { sourcePersonDistinctId: 'ann', targetPersonDistinctId: 'bob', event: '$identify' },
    },
  ]);
  t.match(await sql(OF_EVENT(eventUuid(3))), [{ type: 'cannot_merge_already_identified' }]);
  t.match(events[2], { event: '$identify', distinct_id: 'bob', person_id: uuidOf('anon-2') });
  t.match((await system.persons())[1], { ids: 'anon-2 bob', properties: { name: 'Bob' } });
});

t.test(
  'an id that a crowd would share: nothing is merged, on either side; the event is an ordinary one',
  async (t) => {
    const system = await startSystem(t);
    await system.send(identify('ann', 'Anonymous'), identify('guest', 'ann'), alias('ann', '"undefined"'));
    const { warnings, events } = await inClickHouse(system);
    t.same(
      warnings.map(({ details }) => [details['illegalDistinctId'], details['otherDistinctId']]).toSorted(),
      [
        ['"undefined"', 'ann'],
        ['Anonymous', 'ann'],
        ['guest', 'ann'],
      ],
    );
    t.equal(warnings[0]?.['type'], 'cannot_merge_with_illegal_distinct_id');
    t.equal(events.length, 3);
    t.match(
      (await system.persons()).map(({ ids, is_identified }) => [ids, is_identified]),
      [
        ['ann', false],
        ['guest', false],
      ],
      'nobody is identified by it; a person "guest" there may be',
    );
  },
);

t.test(
  'which ids those are: some in any case, some as they stand, with quotes or without, and the blank',
  async (t) => {
    const system = await startSystem(t);
    const illegal = [
      ...['anonymous', 'guest', 'distinctid', 'distinct_id', 'id', 'not_authenticated', 'email'],
      ...['undefined', 'true', 'false', 'UNDEFINED', 'True'],
      ...['[object Object]', 'NaN', 'None', 'none', 'null', '0', "'null'", '"Guest"', '', '   '],
    ];
    const legal = ['nan', 'NULL', '00', '[Object object]', 'guest1', '"guest', '""x""'];
    await system.send(...[...illegal, ...legal].map((id) => alias('ann', id)));
    const { persons, warnings } = await system.picture();
    t.same(
      warnings.map((row) => Object(row['details']).illegalDistinctId),
      illegal,
    );
    t.equal(persons[0]?.ids, ['ann', ...legal].toSorted().join(' '));
  },
);

t.test('an alias to itself is no fault: nothing is merged and nothing is said', async (t) => {
  const system = await startSystem(t);
  await system.send(alias('ann', 'ann'), identify('ann', 'ann'));
  const { rows, persons, warnings } = await system.picture();
  t.equal(rows.length, 2);
  t.match(persons, [{ ids: 'ann', is_identified: false }]);
  t.same(warnings, []);
});

t.test('another id that is no text: the event is dropped, and its row is nowhere', async (t) => {
  const system = await startSystem(t);
  await system.send(
    { event: '$identify', distinct_id: 'ann', properties: { $anon_distinct_id: 7 } },
    { event: '$create_alias', distinct_id: 'ann', properties: { alias: { toString: null } } },
    { event: '$identify', distinct_id: 'ann', properties: { $anon_distinct_id: null } },
  );
  const { warnings, events } = await inClickHouse(system);
  t.match(warnings, [
    { type: 'invalid_alias', details: { distinctId: 'ann', alias: { toString: null } } },
    { type: 'invalid_anon_distinct_id', details: { distinctId: 'ann', $anon_distinct_id: 7 } },
  ]);
  t.equal(events.length, 1, 'null is as good as none');
  t.match((await system.picture()).books, { dropped: { invalid_anon_distinct_id: 1, invalid_alias: 1 } });
});

t.test('an event about persons in a project that wants none is dropped; all others are taken', async (t) => {
  const system = await startSystem(t, { project: { personProcessingOptOut: true } });
  await system.send(identify('ann', 'anon-1'), { event: 'opened', distinct_id: 'ann' });
  const { warnings, events } = await inClickHouse(system);
  t.match(warnings, [
    {
      type: 'invalid_event_when_process_person_profile_is_false',
      details: { eventUuid: eventUuid(1), event: '$identify', distinctId: 'ann' },
    },
  ]);
  t.match(events, [{ event: 'opened' }]);
  t.same(await system.persons(), []);
});

t.test(
  'an id of more than 200 characters is cut, whether it is the event’s own or the other one',
  async (t) => {
    const system = await startSystem(t);
    const long = 'x'.repeat(201);
    await system.send({ event: 'opened', distinct_id: long }, alias('ann', `y${long}`));
    const { warnings, events } = await inClickHouse(system);
    t.match(warnings, [
      { type: 'distinct_id_truncated', details: { eventUuid: eventUuid(1), distinctId: 'x'.repeat(200) } },
      {
        type: 'distinct_id_truncated',
        details: { eventUuid: eventUuid(2), distinctId: `y${'x'.repeat(199)}` },
      },
    ]);
    t.equal(events.length, 2);
    t.match(
      (await system.persons()).map(({ ids }) => ids.length),
      ['ann '.length + 200, 200],
    );
  },
);

t.test('a sixth group type is ignored', async (t) => {
  const system = await startSystem(t);
  const types = ['a', 'b', 'c', 'd', 'e', 'f'];
  await system.send({
    event: 'paid',
    distinct_id: 'ann',
    properties: { $groups: Object.fromEntries(types.map((type) => [type, 'k'])) },
  });
  const { sql, warnings } = await inClickHouse(system);
  t.match(warnings, [
    { type: 'too_many_group_types', details: { groupType: 'f', distinctId: 'ann', eventUuid: eventUuid(1) } },
  ]);
  t.match(await sql('SELECT $group_4 AS last FROM events'), [{ last: 'k' }]);
});

t.test('a change that would make a person too large is left out; the event is written', async (t) => {
  const system = await startSystem(t);
  const set = (key: string, chars: number): Sent => ({
    event: '$set',
    distinct_id: 'ann',
    properties: { $set: { [key]: 'x'.repeat(chars) } },
  });
  await system.send(set('a', 300_000), set('b', 300_000), set('c', 100_000));
  const { warnings, events } = await inClickHouse(system);
  t.match(warnings, [
    { type: 'person_properties_size_violation', details: { distinctId: 'ann', eventUuid: eventUuid(3) } },
  ]);
  t.equal(events.length, 3);
  t.same(Object.keys((await system.persons())[0]?.properties ?? {}), ['a', 'b']);
});

t.test(
  'an event whose row is too large for one message is a dead letter, which its uuid leads to',
  async (t) => {
    const system = await startSystem(t);
    // Once as the event's property, once as the person's.
    await system.send({
      event: '$set',
      distinct_id: 'ann',
      properties: { $set: { a: 'x'.repeat(500_000) } },
    });
    const { sql, warnings, events } = await inClickHouse(system);
    t.match(warnings, [{ type: 'message_size_too_large', details: { eventUuid: eventUuid(1) } }]);
    t.same(events, []);
    t.match(
      await sql(`SELECT error, event FROM events_dead_letter_queue WHERE event_uuid = '${eventUuid(1)}'`),
      [{ error: 'row_too_large', event: '$set' }],
    );
  },
);

t.test('what an SDK has to say of itself is a warning and no event', async (t) => {
  const system = await startSystem(t);
  await system.send({
    event: '$$client_ingestion_warning',
    distinct_id: 'ann',
    properties: { $$client_ingestion_warning_message: 'too many events' },
  });
  const { warnings, events } = await inClickHouse(system);
  t.match(warnings, [{ type: 'client_ingestion_warning', details: { message: 'too many events' } }]);
  t.same(events, []);
});

t.test('one warning an hour for each type and what it is about, however often it happens', async (t) => {
  const system = await startSystem(t);
  for (let n = 0; n < 5; n++) await system.send(alias('ann', 'guest'), alias('bob', 'null'));
  t.equal((await system.picture()).warnings.length, 2);
  system.skip(60 * 60_000);
  await system.send(alias('ann', 'guest'));
  const { warnings } = await inClickHouse(system);
  t.same(
    warnings.map((row) => [row['timestamp'], row.details['illegalDistinctId']]),
    [
      ['2026-11-22 13:00:00.000000', 'guest'],
      ['2026-11-22 12:00:00.000000', 'guest'],
      ['2026-11-22 12:00:00.000000', 'null'],
    ],
  );
});
