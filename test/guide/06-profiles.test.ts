/**
 * 6. Events without a person
 *
 * A person profile costs more than an event. `$process_person_profile: false` says that the event does without one:
 * no person is made, read or changed. Its row has the uuid that the person of its id would have, so that a person who
 * comes later finds the early events again.
 */
import t from 'tap';
import type { JsonObject } from '../../src/event/json.ts';
import { given, type Sent, startSystem, uuidOf } from './harness.ts';

const quiet = (name: string, properties: JsonObject = {}): Sent => ({
  event: name,
  distinct_id: 'ann',
  properties: { $process_person_profile: false, ...properties },
});

t.test('an event without a profile leaves a row that is all its own', async (t) => {
  const { rows, persons } = await given(
    t,
    quiet('opened', { $set: { a: 1 }, $set_once: { b: 1 }, $unset: ['c'], $browser: 'Firefox', d: 1 }),
  );
  t.same(persons, []);
  t.match(rows, [
    {
      person_id: uuidOf('ann'),
      person_mode: 'propertyless',
      person_created_at: '1970-01-01 00:00:05',
    },
  ]);
  t.same(rows[0]?.['person_properties'], {});
  t.same(rows[0]?.['properties'], {
    $process_person_profile: false,
    $browser: 'Firefox',
    d: 1,
    $ip: '203.0.113.9',
  });
});

t.test('it belongs to no group, whatever it says', async (t) => {
  const { rows } = await given(t, quiet('opened', { $groups: { company: 'acme' }, $group_0: 'acme' }));
  t.notOk('$group_0' in Object(rows[0]?.['properties']));
  t.notOk('group0_properties' in (rows[0] ?? {}));
});

t.test('only false means no: true is the default and leaves the row, the rest is a mistake', async (t) => {
  const event = (flag: JsonObject[string], id: string): Sent => ({
    event: 'opened',
    distinct_id: id,
    properties: { $process_person_profile: flag },
  });
  const { rows, persons, warnings } = await given(t, event(true, 'ann'), event('false', 'bob'));
  t.match(persons, [{ ids: 'ann' }, { ids: 'bob' }]);
  for (const { properties } of rows) t.notOk('$process_person_profile' in Object(properties));
  t.match(warnings, [
    {
      type: 'invalid_process_person_profile',
      details: { distinctId: 'bob', $process_person_profile: 'false' },
    },
  ]);
});

t.test('an event about persons cannot do without one: it is dropped, with a warning', async (t) => {
  const names = ['$identify', '$create_alias', '$merge_dangerously'];
  const events = names.map((name) => ({
    ...quiet(name, { $anon_distinct_id: 'anon-1', alias: 'anon-1' }),
    distinct_id: `ann-${name}`,
  }));
  const { rows, persons, warnings, books } = await given(t, ...events);
  t.same([rows, persons], [[], []]);
  t.match(books, { dropped: { invalid_event_when_process_person_profile_is_false: 3 } });
  t.match(
    warnings,
    names.map((event) => ({
      type: 'invalid_event_when_process_person_profile_is_false',
      details: { event, distinctId: `ann-${event}` },
    })),
  );
});

t.test('a $groupidentify is about a group: it is taken, and the group changes', async (t) => {
  const system = await startSystem(t);
  await system.send(
    quiet('$groupidentify', { $group_type: 'company', $group_key: 'acme', $group_set: { a: 1 } }),
  );
  const { rows, persons } = await system.picture();
  t.match(rows, [{ event: '$groupidentify', person_mode: 'propertyless' }]);
  t.same(persons, []);
  t.match(await system.read('clickhouse_groups'), [{ group_key: 'acme', group_properties: { a: 1 } }]);
});

t.test('where there is a person, the row has its uuid, and in its first minute nothing more', async (t) => {
  const system = await startSystem(t);
  await system.send({ event: 'signup', distinct_id: 'ann', properties: { $set: { a: 1 } } });
  system.skip(60_000);
  await system.send(quiet('opened'));
  const { rows } = await system.picture();
  t.match(rows[1], { person_id: uuidOf('ann'), person_mode: 'propertyless' });
  t.same(rows[1]?.['person_properties'], {});
});

t.test(
  'later the client has had time to learn of the person: the row shows it, but nothing is changed',
  async (t) => {
    const system = await startSystem(t);
    await system.send({ event: 'signup', distinct_id: 'ann', properties: { $set: { a: 1 } } });
    system.skip(60_001);
    await system.send(quiet('opened', { $set: { a: 2 } }));
    const { rows, persons } = await system.picture();
    t.match(rows[1], { person_mode: 'force_upgrade', person_properties: { a: 1 } });
    t.match(persons, [{ properties: { a: 1 }, version: 0 }]);
  },
);

t.test('early events without a profile are found again by the person who logs in', async (t) => {
  const system = await startSystem(t);
  await system.send({
    event: 'opened',
    distinct_id: 'anon-1',
    properties: { $process_person_profile: false },
  });
  await system.send({ event: '$identify', distinct_id: 'ann', properties: { $anon_distinct_id: 'anon-1' } });
  const { rows, persons } = await system.picture();
  t.match(persons, [{ ids: 'ann anon-1', uuid: uuidOf('anon-1') }]);
  t.equal(rows[0]?.['person_id'], uuidOf('anon-1'), 'the very uuid: no override is needed');
  t.match(await system.read('clickhouse_person_distinct_id'), [
    { distinct_id: 'ann', version: 1 },
    { distinct_id: 'anon-1', version: 0 },
  ]);
});

t.test('a project can do without persons altogether: person_processing_opt_out', async (t) => {
  const system = await startSystem(t, { project: { personProcessingOptOut: true } });
  await system.send({ event: 'opened', distinct_id: 'ann', properties: { $set: { a: 1 } } });
  await system.send({ event: '$identify', distinct_id: 'ann', properties: { $anon_distinct_id: 'anon-1' } });
  const { rows, persons, books } = await system.picture();
  t.match(rows, [
    { event: 'opened', person_mode: 'propertyless', properties: { $process_person_profile: false } },
  ]);
  t.same(persons, []);
  t.match(books, { dropped: { invalid_event_when_process_person_profile_is_false: 1 } });
});
