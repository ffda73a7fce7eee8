/**
 * 3. Events that wait to hear who they are about
 *
 * A server says "Alice signed up" before the browser says "this visitor, anon-1, is Alice". If the first event made a
 * person at once, it would be another one than the visitor's: the row of an event keeps its person. So an event of a
 * distinct id that nobody knows is held, for 60 seconds here (BUFFER_CONVERSION_SECONDS), and goes on as soon as its
 * id has a person.
 */
import t, { type Test } from 'tap';
import { captured, eventUuid, type Sent, System, startSystem, uuidOf } from './harness.ts';

const MINUTE = 60_000;
const startHolding = (t: Test) => startSystem(t, { holdMs: MINUTE });

const signup = { event: 'signup', distinct_id: 'alice' };
const identify = (distinctId: string, anonId: string, $set = {}): Sent => ({
  event: '$identify',
  distinct_id: distinctId,
  properties: { $anon_distinct_id: anonId, $set },
});
const visit = (distinctId: string): Sent => ({
  event: 'pageview',
  distinct_id: distinctId,
  properties: { $device_id: distinctId },
});

t.test('an event of an unknown id is held, and is on the person that an $identify brings', async (t) => {
  const system = await startHolding(t);
  await system.send(visit('anon-1'), signup);
  t.match(await system.picture({ held: 1 }), { rows: [{ event: 'pageview' }], persons: [{ ids: 'anon-1' }] });

  await system.send(identify('alice', 'anon-1'));
  const { rows, persons } = await system.picture();
  t.match(rows, [
    { event: 'pageview', person_id: uuidOf('anon-1') },
    { event: 'signup', person_id: uuidOf('anon-1') },
    { event: '$identify', person_id: uuidOf('anon-1') },
  ]);
  t.match(persons, [{ ids: 'alice anon-1', is_identified: true }]);
});

t.test('without the hold the same three events are on two persons, and stay there', async (t) => {
  const system = await startSystem(t, { holdMs: 0 });
  await system.send(visit('anon-1'), signup, identify('alice', 'anon-1'));
  const { rows, persons } = await system.picture();
  t.match(rows, [
    { event: 'pageview', person_id: uuidOf('anon-1') },
    { event: 'signup', person_id: uuidOf('alice') },
    { event: '$identify', person_id: uuidOf('alice') },
  ]);
  t.match(persons, [{ ids: 'alice anon-1' }], 'one person all the same');
});

t.test('nobody comes: after a minute the event goes on and makes its own person', async (t) => {
  const system = await startHolding(t);
  await system.send(signup);
  system.skip(MINUTE - 15_000);
  t.match(await system.picture({ held: 1 }), { rows: [], persons: [] });
  system.skip(15_000);
  const { rows, persons } = await system.picture();
  t.match(rows, [{ event: 'signup', person_id: uuidOf('alice') }]);
  t.match(persons, [{ ids: 'alice', is_identified: false }]);
});

t.test('the time of a held event is when it happened, not when it went on', async (t) => {
  const system = await startHolding(t);
  await system.send(signup);
  system.skip(MINUTE);
  const { rows, persons } = await system.picture();
  t.match(rows, [{ timestamp: '2026-11-22 12:00:00.000000', created_at: '2026-11-22 12:00:00.000000' }]);
  t.match(persons, [{ created_at: '2026-11-22 12:00:00' }]);
});

t.test('the minute begins when the log takes the event: a restart does not begin it again', async (t) => {
  const system = await startHolding(t);
  const longAgo = system.clock.now() - MINUTE;
  await system.appendRecords(captured([signup], {}, longAgo, () => eventUuid(1)));
  t.match(await system.picture(), { rows: [{ event: 'signup' }] });
});

t.test('after a downtime an $identify that waits in the log still comes in time', async (t) => {
  const system = await System.open(t, { holdMs: MINUTE });
  const hourAgo = system.clock.now() - 60 * MINUTE;
  let uuids = 0;
  const newUuid = () => eventUuid(++uuids);
  await system.appendRecords(captured([signup], {}, hourAgo, newUuid));
  await system.appendRecords(captured(Array(200).fill(visit('anon-7')), {}, hourAgo + 1_000, newUuid));
  await system.appendRecords(captured([identify('alice', 'anon-1')], {}, hourAgo + 2_000, newUuid));
  // The signup's minute was over long ago. But nobody has read yet what came within it.
  await system.startWorker(undefined, { limits: { pollRecordsMax: 10 } });
  t.match((await system.picture()).rows[0], { event: 'signup', person_id: uuidOf('anon-1') });
});

t.test('events of an id stay in order: who comes later waits behind the one that is held', async (t) => {
  const system = await startHolding(t);
  await system.send(
    { ...signup, properties: { $set: { plan: 'free' } } },
    { event: 'upgrade', distinct_id: 'alice', properties: { $set: { plan: 'pro' } } },
  );
  t.match(await system.picture({ held: 2 }), { rows: [] });
  system.skip(MINUTE);
  const { rows } = await system.picture();
  t.match(rows, [
    { event: 'signup', person_properties: { plan: 'free' } },
    { event: 'upgrade', person_properties: { plan: 'pro' } },
  ]);
});

t.test(
  'held events go on right after the event that gave their id a person, and so overrule it',
  async (t) => {
    const system = await startHolding(t);
    await system.send({ ...signup, properties: { $set: { plan: 'free' } } });
    await system.send(identify('alice', 'anon-1', { plan: 'pro' }));
    t.match(await system.picture(), { persons: [{ ids: 'alice anon-1', properties: { plan: 'free' } }] });
  },
);

t.test(
  'an event is held once: when it goes on nobody is known still, and it is not held again',
  async (t) => {
    const system = await startHolding(t);
    await system.send(signup);
    system.skip(MINUTE);
    await system.picture();
    await system.send({ event: 'login', distinct_id: 'alice' });
    t.match(await system.picture(), { books: { rows: 2, held: 0 } }, 'and by then the id is known');
  },
);

t.test('only events of that id wait: others pass, before and after it', async (t) => {
  const system = await startHolding(t);
  await system.send(visit('anon-7'));
  await system.send(signup, { event: 'paid', distinct_id: 'anon-7' });
  t.match(await system.picture({ held: 1 }), { rows: [{ event: 'pageview' }, { event: 'paid' }] });
});

const mobile = (lib: string): Sent => ({ ...signup, distinct_id: lib, properties: { $lib: lib } });

t.test('what says itself who it is about, or never will, is not held', async (t) => {
  const system = await startHolding(t);
  const exempt: Readonly<Record<string, Sent>> = {
    'an anonymous event, whose id is its device’s': visit('anon-1'),
    'an $identify that names the anonymous id': identify('bob', 'anon-2'),
    'an alias': { event: '$create_alias', distinct_id: 'carl', properties: { alias: 'c' } },
    'a $merge_dangerously': { event: '$merge_dangerously', distinct_id: 'dora', properties: { alias: 'd' } },
    'a $groupidentify': {
      event: '$groupidentify',
      distinct_id: 'eve',
      properties: { $group_type: 'company', $group_key: 'acme' },
    },
    'an event that wants no person profile': {
      ...signup,
      distinct_id: 'fred',
      properties: { $process_person_profile: false },
    },
    'an event of an iPhone': mobile('posthog-ios'),
    'of an Android phone': mobile('posthog-android'),
    'of React Native': mobile('posthog-react-native'),
    'of Flutter': mobile('posthog-flutter'),
  };
  for (const [what, event] of Object.entries(exempt)) {
    const before = (await system.picture()).books.rows;
    await system.send(event);
    t.match(await system.picture(), { books: { rows: before + 1, held: 0 } }, what);
  }
});

t.test('an import of old events is not held', async (t) => {
  const system = await startHolding(t);
  await system.append([signup], { historical_migration: true });
  t.match(await system.picture(), { rows: [{ event: 'signup', historical_migration: true }] });
});

t.test('everything else is held, also what only looks as if it named somebody', async (t) => {
  const system = await startHolding(t);
  const waiting: Readonly<Record<string, Sent>> = {
    'a $set': { event: '$set', distinct_id: 'ann', properties: { $set: { a: 1 } } },
    'an $identify that names nobody': {
      event: '$identify',
      distinct_id: 'bob',
      properties: { $set: { a: 1 } },
    },
    'an $identify of an id with itself': identify('carl', 'carl'),
    'an alias to itself': { event: '$create_alias', distinct_id: 'dora', properties: { alias: 'dora' } },
    'an event on a device, of somebody with a name': {
      ...signup,
      distinct_id: 'eve',
      properties: { $device_id: 'anon-1' },
    },
  };
  let held = 0;
  for (const [what, event] of Object.entries(waiting)) {
    await system.send(event);
    held += 1;
    t.match(await system.picture({ held }), { books: { rows: 0, held } }, what);
  }
});
