/**
 * 4. Two ids, one person
 *
 * Three events say that two distinct ids are the same person: `$identify` (the other id is `$anon_distinct_id`),
 * `$create_alias` and `$merge_dangerously` (the other id is `alias`). The person of the event's own `distinct_id` is the
 * one that stays. The other one, if there is one, is merged into it and is gone.
 */
import t from 'tap';
import { eventUuid, given, type Sent, startSystem, uuidOf } from './harness.ts';

const identify = (distinctId: string, anonId: string, $set = {}): Sent => ({
  event: '$identify',
  distinct_id: distinctId,
  properties: { $anon_distinct_id: anonId, $set },
});
const alias = (distinctId: string, other: string): Sent => ({
  event: '$create_alias',
  distinct_id: distinctId,
  properties: { alias: other },
});
const dangerously = (distinctId: string, other: string): Sent => ({
  event: '$merge_dangerously',
  distinct_id: distinctId,
  properties: { alias: other },
});
const seen = (distinctId: string, properties = {}): Sent => ({
  event: 'seen',
  distinct_id: distinctId,
  properties,
});

t.test(
  'nobody knows either id: one new person has both, with the uuid of the id that is merged in',
  async (t) => {
    const { persons, rows } = await given(t, identify('ann', 'anon-1', { name: 'Ann' }));
    t.match(persons, [
      {
        ids: 'ann anon-1',
        uuid: uuidOf('anon-1'),
        is_identified: true,
        version: 0,
        properties: { name: 'Ann' },
      },
    ]);
    t.match(rows, [{ person_id: uuidOf('anon-1'), person_properties: { name: 'Ann' } }]);
  },
);

t.test('only the other id has a person: the event’s own id joins it', async (t) => {
  const system = await startSystem(t);
  await system.send(seen('anon-1'));
  await system.send(identify('ann', 'anon-1'));
  const { persons } = await system.picture();
  t.match(persons, [{ ids: 'ann anon-1', uuid: uuidOf('anon-1'), is_identified: true, version: 1 }]);
});

t.test('only the event’s own id has a person: the other id joins it', async (t) => {
  const system = await startSystem(t);
  await system.send(seen('ann'));
  await system.send(identify('ann', 'anon-1'));
  const { persons } = await system.picture();
  t.match(persons, [{ ids: 'ann anon-1', uuid: uuidOf('ann'), is_identified: true }]);
});

t.test('both ids have the same person already: it is identified, and nothing else happens', async (t) => {
  const system = await startSystem(t);
  await system.send(alias('ann', 'anna'));
  await system.send(identify('ann', 'anna'), identify('anna', 'ann'));
  const { persons, warnings } = await system.picture();
  t.match(persons, [{ ids: 'ann anna', is_identified: true, version: 0 }]);
  t.same(warnings, []);
});

t.test(
  'two persons become one: that of the event’s own id stays, even if it is the younger one',
  async (t) => {
    const system = await startSystem(t);
    await system.send(
      { ...seen('anon-1', { $set: { from: 'anon', a: 1 } }), timestamp: '2026-11-20T00:00:00Z' },
      { ...seen('ann', { $set: { from: 'ann', b: 2 } }), timestamp: '2026-11-21T00:00:00Z' },
    );
    await system.send(identify('ann', 'anon-1', { b: 3 }));
    const { persons } = await system.picture();
    t.match(persons, [
      {
        ids: 'ann anon-1',
        uuid: uuidOf('ann'),
        is_identified: true,
        created_at: '2026-11-20 00:00:00',
        properties: { from: 'ann', a: 1, b: 3 },
      },
    ]);
    t.equal(
      persons.length,
      1,
      'created_at is the earlier one; of the properties the survivor’s win, then the event’s',
    );
  },
);

t.test(
  'a merge on the topics: survivor with a higher version, moved id with version + 1, the end of the other',
  async (t) => {
    const system = await startSystem(t);
    await system.send(seen('anon-1', { $set: { a: 1 } }), seen('ann'));
    await system.send(seen('anon-1', { $set: { a: 2 } }));
    await system.send(identify('ann', 'anon-1'));
    const persons = (await system.read('clickhouse_person')).slice(-2);
    t.match(persons, [
      { id: uuidOf('ann'), version: 2, is_deleted: 0, is_identified: 1 },
      { id: uuidOf('anon-1'), version: 101, is_deleted: 1 },
    ]);
    t.match((await system.read('clickhouse_person_distinct_id')).at(-1), {
      distinct_id: 'anon-1',
      person_id: uuidOf('ann'),
      version: 1,
      is_deleted: 0,
    });
  },
);

t.test(
  'versions: the survivor’s is one above the higher of the two, the end’s is a hundred above its last',
  async (t) => {
    const system = await startSystem(t);
    for (const a of [1, 2, 3]) await system.send(seen('anon-1', { $set: { a } }));
    await system.send(seen('ann'));
    await system.send(identify('ann', 'anon-1'));
    const messages = await system.read('clickhouse_person');
    t.match(messages.slice(-2), [
      { id: uuidOf('ann'), version: 3 },
      { id: uuidOf('anon-1'), version: 102, is_deleted: 1 },
    ]);
  },
);

t.test(
  'an identified person is not merged into another one; the event and its $set still count',
  async (t) => {
    const system = await startSystem(t);
    await system.send(identify('ann', 'anon-1'), seen('bob'));
    await system.send(identify('bob', 'ann', { name: 'Bob' }));
    const { persons, rows, warnings } = await system.picture();
    t.match(persons, [
      { ids: 'ann anon-1', is_identified: true },
      { ids: 'bob', is_identified: true, properties: { name: 'Bob' } },
    ]);
    t.match(rows.at(-1), {
      event: '$identify',
      person_id: uuidOf('bob'),
      person_properties: { name: 'Bob' },
    });
    t.match(warnings, [
      {
        type: 'cannot_merge_already_identified',
        details: { sourcePersonDistinctId: 'ann', targetPersonDistinctId: 'bob', eventUuid: eventUuid(3) },
      },
    ]);
  },
);

t.test('an alias is refused in the same way', async (t) => {
  const system = await startSystem(t);
  await system.send(identify('ann', 'anon-1'), seen('bob'));
  await system.send(alias('bob', 'ann'));
  const { persons, warnings } = await system.picture();
  t.match(persons, [{ ids: 'ann anon-1' }, { ids: 'bob', is_identified: true }]);
  t.match(warnings, [{ type: 'cannot_merge_already_identified' }]);
});

t.test(
  'the protection is of the source: somebody unknown may be merged into an identified person',
  async (t) => {
    const system = await startSystem(t);
    await system.send(identify('ann', 'anon-1'), seen('anon-2'));
    await system.send(identify('ann', 'anon-2'));
    t.match((await system.picture()).persons, [{ ids: 'ann anon-1 anon-2' }]);
  },
);

t.test(
  'the protection needs two persons: an unknown user who logs in on Ann’s browser joins her',
  async (t) => {
    const system = await startSystem(t);
    await system.send(identify('ann', 'anon-1'));
    await system.send(identify('bob', 'anon-1'));
    const { persons, warnings } = await system.picture();
    t.match(persons, [{ ids: 'ann anon-1 bob' }]);
    t.same(warnings, []);
  },
);

t.test('$merge_dangerously merges identified persons, too', async (t) => {
  const system = await startSystem(t);
  await system.send(identify('ann', 'anon-1'), identify('bob', 'anon-2'));
  await system.send(dangerously('bob', 'ann'));
  const { persons, warnings } = await system.picture();
  t.match(persons, [{ ids: 'ann anon-1 anon-2 bob', is_identified: true }]);
  t.same(warnings, []);
});

t.test(
  'a merge moves all ids of the source, and rows after it show the survivor for each of them',
  async (t) => {
    const system = await startSystem(t);
    await system.send(alias('anon-1', 'old-1'), alias('anon-1', 'old-2'), seen('ann'));
    await system.send(dangerously('ann', 'anon-1'), seen('old-1'), seen('old-2'), seen('anon-1'));
    const { persons, rows } = await system.picture();
    t.match(persons, [{ ids: 'ann anon-1 old-1 old-2' }]);
    for (const row of rows.slice(-4)) t.equal(row['person_id'], uuidOf('ann'));
  },
);

t.test(
  'an $identify without $anon_distinct_id names nobody: it sets properties and identifies nobody',
  async (t) => {
    const event = { event: '$identify', distinct_id: 'ann', properties: { $set: { name: 'Ann' } } };
    t.match(await given(t, event), {
      persons: [{ ids: 'ann', is_identified: false, properties: { name: 'Ann' } }],
      warnings: [],
    });
  },
);
