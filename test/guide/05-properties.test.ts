/**
 * 5. What is known about a person
 *
 * Every event may change its person: `$set` writes, `$set_once` writes what is not there yet, `$unset` removes. What an
 * event says about the browser, the system, the page and the campaign is taken over without being asked. Not every
 * change is worth a write to Postgres; the event's row shows the person as it is after the event in any case.
 */
import t from 'tap';
import type { JsonObject } from '../../src/event/json.ts';
import { eventUuid, given, type Sent, startSystem, uuidOf } from './harness.ts';

const event = (name: string, properties: JsonObject = {}): Sent => ({
  event: name,
  distinct_id: 'ann',
  properties,
});
const set = ($set: JsonObject): Sent => event('$set', { $set });

t.test(
  'the first event of an id makes its person, with a uuid that follows from project and id',
  async (t) => {
    const { persons, rows } = await given(t, {
      ...event('signup', { $set: { plan: 'free' }, $set_once: { plan: 'none', source: 'ad' } }),
      timestamp: '2026-11-20T08:00:00Z',
    });
    t.same(persons, [
      {
        ids: 'ann',
        uuid: uuidOf('ann'),
        is_identified: false,
        version: 0,
        created_at: '2026-11-20 08:00:00',
        properties: { plan: 'free', source: 'ad' },
        creator: eventUuid(1),
      },
    ]);
    t.match(rows, [
      {
        person_id: uuidOf('ann'),
        person_mode: 'full',
        person_properties: { plan: 'free', source: 'ad', $creator_event_uuid: eventUuid(1) },
      },
    ]);
  },
);

t.test('the same project and id make the same person everywhere: PostHog’s UUIDv5', async (t) => {
  t.equal(uuidOf('ann'), 'fe27503b-3771-5a01-819d-96bf829dfb35');
});

t.test('$set writes, $set_once writes where there is nothing or null, $unset removes', async (t) => {
  const system = await startSystem(t);
  await system.send(set({ a: 1, b: 1, c: 1, d: null }));
  await system.send(event('changed', { $set: { a: 2 }, $set_once: { b: 2, d: 2, e: 2 }, $unset: ['c'] }));
  t.same((await system.picture()).persons[0]?.properties, { a: 2, b: 1, d: 2, e: 2 });
});

t.test('$set and $set_once may stand beside the properties, and win over those in them', async (t) => {
  const { persons } = await given(t, {
    ...event('signup', { $set: { plan: 'inner', a: 1 } }),
    $set: { plan: 'outer' },
    $set_once: { b: 2 },
  });
  t.same(persons[0]?.properties, { plan: 'outer', a: 1, b: 2 });
});

t.test('$unset takes names, or an object whose keys are the names', async (t) => {
  const system = await startSystem(t);
  await system.send(set({ a: 1, b: 1, c: 1 }));
  await system.send(event('x', { $unset: ['a', 7, null] }), event('x', { $unset: { b: '' } }));
  t.same((await system.picture()).persons[0]?.properties, { c: 1 });
});

t.test(
  '$set and $unset of one key in one event: what was there goes, what was not there is set',
  async (t) => {
    const system = await startSystem(t);
    await system.send(set({ old: 1 }));
    await system.send(event('x', { $set: { old: 2, fresh: 2 }, $unset: ['old', 'fresh'] }));
    t.same((await system.picture()).persons[0]?.properties, { fresh: 2 });
  },
);

t.test('a $set that is no object sets nothing, and the event is taken', async (t) => {
  const { rows, persons } = await given(t, event('x', { $set: 'plan', $set_once: [1], $unset: 'plan' }));
  t.equal(rows.length, 1);
  t.same(persons[0]?.properties, {});
});

t.test('what is there already is no change: no new version, no message', async (t) => {
  const system = await startSystem(t);
  await system.send(set({ a: { b: [1, 2], c: 3 } }));
  await system.send(set({ a: { c: 3, b: [1, 2] } }));
  t.match((await system.picture()).persons, [{ version: 0 }]);
  t.equal((await system.read('clickhouse_person')).length, 1);
});

t.test('events that are saved together make one version', async (t) => {
  const system = await startSystem(t);
  await system.send(set({ a: 1 }));
  await system.send(set({ a: 2 }), set({ a: 3 }), set({ a: 4 }));
  const { rows, persons } = await system.picture();
  t.match(persons, [{ version: 1, properties: { a: 4 } }]);
  t.match(
    rows.map((row) => row['person_properties']),
    [{ a: 1 }, { a: 2 }, { a: 3 }, { a: 4 }],
    'each row shows the person after its own event',
  );
});

t.test('browser, page and campaign become properties, the first ones under $initial_', async (t) => {
  const system = await startSystem(t);
  await system.send(event('$pageview', { $browser: 'Firefox', $pathname: '/a', utm_source: 'ad', other: 1 }));
  await system.send(event('$pageview', { $browser: 'Chrome', $pathname: '/b', utm_source: 'mail' }));
  t.same((await system.picture()).persons[0]?.properties, {
    $browser: 'Chrome',
    $pathname: '/b',
    utm_source: 'mail',
    $initial_browser: 'Firefox',
    $initial_pathname: '/a',
    $initial_utm_source: 'ad',
  });
});

t.test('what the client sets itself wins over what is taken over', async (t) => {
  const { persons } = await given(t, event('$pageview', { $browser: 'Firefox', $set: { $browser: 'mine' } }));
  t.same(persons[0]?.properties, { $browser: 'mine', $initial_browser: 'Firefox' });
});

t.test('the system of a server says nothing about the person', async (t) => {
  const system = await startSystem(t);
  await system.send(event('x', { $os: 'Linux', $lib: 'posthog-node' }));
  await system.send(event('x', { $os: 'Linux', $is_server: true }));
  t.same((await system.picture()).persons[0]?.properties, {});
  await system.send(event('x', { $os_name: 'iOS' }));
  t.same(
    (await system.picture()).persons[0]?.properties,
    { $os: 'iOS', $initial_os: 'iOS' },
    'a phone’s does',
  );
});

t.test('a survey that was shown leaves its time', async (t) => {
  const system = await startSystem(t);
  await system.send({ ...event('survey shown'), timestamp: '2026-11-21T08:00:00Z' });
  t.same((await system.picture()).persons[0]?.properties, {
    $survey_last_seen_date: '2026-11-21T08:00:00.000Z',
  });
});

t.test('a new page alone is not worth a write: only the event’s row shows it', async (t) => {
  const system = await startSystem(t);
  await system.send(event('$pageview', { $pathname: '/a', $browser_version: 1 }));
  await system.send(event('$pageview', { $pathname: '/b', $browser_version: 2 }));
  const { rows, persons } = await system.picture();
  t.match(rows[1], { person_properties: { $pathname: '/b', $browser_version: 2 } });
  t.match(persons, [{ version: 0, properties: { $pathname: '/a', $browser_version: 1 } }]);
});

t.test(
  'it is written when something else changes, when it is new, and when the event is about the person',
  async (t) => {
    const system = await startSystem(t);
    await system.send(event('$pageview', { $pathname: '/a' }));
    await system.send(event('$pageview', { $pathname: '/b', $set: { plan: 'pro' } }));
    t.match((await system.picture()).persons, [{ version: 1, properties: { $pathname: '/b' } }]);
    await system.send(event('$pageview', { $pathname: '/c', $browser: 'Firefox' }));
    t.match((await system.picture()).persons, [{ version: 2, properties: { $pathname: '/c' } }]);
    await system.send(event('$set', { $pathname: '/d' }));
    t.match((await system.picture()).persons, [{ version: 3, properties: { $pathname: '/d' } }]);
  },
);

t.test('an exception never changes the person it happened to', async (t) => {
  const system = await startSystem(t);
  await system.send(set({ a: 1 }));
  await system.send(event('$exception', { $set: { a: 2 }, $browser: 'Firefox' }));
  const { rows, persons } = await system.picture();
  t.same(persons[0]?.properties, { a: 1 });
  t.match(rows[1], { person_properties: { a: 1 } });
});

t.test('a key of any name is a key', async (t) => {
  const system = await startSystem(t);
  const odd = JSON.parse('{"__proto__": 1, "constructor": 2, "": 3}');
  await system.send(set(odd));
  const [person] = (await system.picture()).persons;
  t.same(Object.entries(person?.properties ?? {}).toSorted(), Object.entries(odd).toSorted());
});

t.test('NUL and half characters, which Postgres does not take, become U+FFFD at the door', async (t) => {
  const { persons } = await given(t, set({ name: 'a\0b', 'k\0': 'c\ud83d' }));
  t.same(persons[0]?.properties, { name: 'a\ufffdb', 'k\ufffd': 'c\ufffd' });
});
