/**
 * 8. Groups: companies, teams and the like
 *
 * `$groups` says which groups an event belongs to, by type and key; `$groupidentify` says what is known of a group. A
 * project has five group types at most: each has a place from 0 to 4, and rows know it by its place.
 */
import t from 'tap';
import type { Json, JsonObject } from '../../src/event/json.ts';
import { eventUuid, given, type Sent, startSystem } from './harness.ts';

const describe = (type: Json, key: Json, $group_set?: Json, more: JsonObject = {}): Sent => ({
  event: '$groupidentify',
  distinct_id: 'ann',
  properties: {
    $group_type: type,
    $group_key: key,
    ...($group_set === undefined ? {} : { $group_set }),
    ...more,
  },
});
const paid = ($groups: Json): Sent => ({ event: 'paid', distinct_id: 'ann', properties: { $groups } });

t.test(
  'types get their places in the order in which they come; the row names the group by its place',
  async (t) => {
    const { rows } = await given(t, paid({ company: 'acme', team: 7 }), paid({ team: 8 }));
    t.match(rows, [{ properties: { $group_0: 'acme', $group_1: '7' } }, { properties: { $group_1: '8' } }]);
  },
);

t.test(
  'a group that is described is a message and a row, with version 1 and the time of its event',
  async (t) => {
    const system = await startSystem(t);
    await system.send({ ...describe('company', 'acme', { plan: 'pro' }), timestamp: '2026-11-20T08:00:00Z' });
    t.match(await system.read('clickhouse_groups'), [
      {
        group_type_index: 0,
        group_key: 'acme',
        group_properties: { plan: 'pro' },
        created_at: '2026-11-20 08:00:00',
        version: 1,
      },
    ]);
  },
);

t.test('a later description adds to it: new values win, nothing goes, the earlier time stays', async (t) => {
  const system = await startSystem(t);
  await system.send(describe('company', 'acme', { plan: 'free', seats: 5 }));
  await system.send({ ...describe('company', 'acme', { plan: 'pro' }), timestamp: '2026-11-20T08:00:00Z' });
  t.match((await system.read('clickhouse_groups')).at(-1), {
    group_properties: { plan: 'pro', seats: 5 },
    created_at: '2026-11-20 08:00:00',
    version: 2,
  });
});

t.test('a description that says nothing new is not written', async (t) => {
  const system = await startSystem(t);
  await system.send(describe('company', 'acme', { plan: 'pro' }));
  await system.send(describe('company', 'acme', { plan: 'pro' }), describe('company', 'acme'));
  t.equal((await system.read('clickhouse_groups')).length, 1);
});

t.test('one key under two types is two groups', async (t) => {
  const system = await startSystem(t);
  await system.send(describe('company', 'acme', { a: 1 }), describe('team', 'acme', { b: 2 }));
  t.match(await system.read('clickhouse_groups'), [
    { group_type_index: 0, group_properties: { a: 1 } },
    { group_type_index: 1, group_properties: { b: 2 } },
  ]);
});

t.test('the row shows the group as it was when the event came', async (t) => {
  const system = await startSystem(t);
  await system.send(describe('company', 'acme', { plan: 'pro' }), paid({ company: 'acme' }));
  await system.send(describe('company', 'acme', { plan: 'free' }));
  t.match((await system.picture()).rows[1], {
    group0_properties: { plan: 'pro' },
    group0_created_at: '2026-11-22 12:00:00',
  });
});

t.test('a $groupidentify says nothing about its person', async (t) => {
  const event = describe('company', 'acme', { a: 1 }, { $set: { name: 'Ann' } });
  const { persons } = await given(t, event);
  t.match(persons, [{ ids: 'ann' }]);
  t.same(persons[0]?.properties, {}, 'although it makes one');
});

t.test('a sixth type is ignored, with a warning; its events are taken', async (t) => {
  const five = ['a', 'b', 'c', 'd', 'e'].map((type) => describe(type, 'k'));
  const { rows, warnings } = await given(t, ...five, paid({ f: 'k', a: 'k' }));
  t.match(rows[5], { event: 'paid', properties: { $group_0: 'k' } });
  t.notOk('$group_5' in Object(rows[5]?.['properties']));
  t.match(warnings, [{ type: 'too_many_group_types', details: { groupType: 'f', eventUuid: eventUuid(6) } }]);
});

t.test('a type or key of more than 400 characters is ignored, with a warning', async (t) => {
  const system = await startSystem(t);
  await system.send(describe('company', 'x'.repeat(401)), paid({ company: 'x'.repeat(400) }));
  const { rows, warnings } = await system.picture();
  t.match(rows[1], { properties: { $group_0: 'x'.repeat(400) } });
  t.match(warnings, [
    { type: 'group_key_too_long', details: { groupType: 'company', eventUuid: eventUuid(1) } },
  ]);
  t.same(await system.read('clickhouse_groups'), []);
});

t.test('a $group_set that is no object describes nothing, with a warning; the group is there', async (t) => {
  const system = await startSystem(t);
  await system.send(describe('company', 'acme', 'pro'));
  t.match((await system.picture()).warnings, [{ type: 'invalid_group_set' }]);
  t.match(await system.read('clickhouse_groups'), [{ group_key: 'acme', group_properties: {} }]);
});

t.test('a number is a key like its digits; what is no text and no number names no group', async (t) => {
  const system = await startSystem(t);
  await system.send(
    describe('company', 0),
    describe('company', { id: 1 }),
    describe('', 'acme'),
    describe('team', ''),
  );
  t.match(await system.read('clickhouse_groups'), [{ group_key: '0' }]);
  t.equal((await system.picture()).rows.length, 4);
});
