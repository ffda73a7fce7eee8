/** Segment's messages, type by type, and the events that they become. */
import t from 'tap';
import { EVERY_MESSAGE, MESSAGES } from '../../src/capture/segment-table.ts';
import { deriveMessageUuid } from '../../src/ids.ts';
import { capture, TOKEN } from './harness.ts';

const MESSAGE_ID = 'node-next-1795355699245-17ff9398-127e-46be-b305-d3daf8d59227';
const COMMON = {
  writeKey: TOKEN,
  messageId: MESSAGE_ID,
  timestamp: '2026-11-22T11:00:00.000Z',
  context: { library: { name: '@segment/analytics-node', version: '3.1.0' } },
  integrations: {},
  _metadata: { nodeVersion: 'v20' },
};
const LIBRARY = { $lib: '@segment/analytics-node', $lib_version: '3.1.0' };

/** Type of the message, its fields; name, id and properties of the event. */
const MAPPED: readonly (readonly [string, object, string, string, object])[] = [
  [
    'track',
    { event: 'Bought', userId: 'ann', anonymousId: 'a1', properties: { price: 3 } },
    'Bought',
    'ann',
    { $device_id: 'a1', price: 3 },
  ],
  ['track', { event: 'Bought', anonymousId: 'a1' }, 'Bought', 'a1', { $device_id: 'a1' }],
  ['track', { event: 'Bought', userId: '', anonymousId: 'a1' }, 'Bought', 'a1', { $device_id: 'a1' }],
  [
    'page',
    {
      userId: 'ann',
      name: 'Home',
      category: 'Docs',
      properties: { url: 'https://x.test/?a=1', path: '/', referrer: 'https://y.test', title: 'T' },
    },
    '$pageview',
    'ann',
    {
      $current_url: 'https://x.test/?a=1',
      $pathname: '/',
      $referrer: 'https://y.test',
      name: 'Home',
      category: 'Docs',
      url: 'https://x.test/?a=1',
      path: '/',
      referrer: 'https://y.test',
      title: 'T',
    },
  ],
  ['screen', { userId: 'ann', name: 'Settings' }, '$screen', 'ann', { $screen_name: 'Settings' }],
  [
    'identify',
    { userId: 'ann', anonymousId: 'a1', traits: { email: 'ann@x.test' } },
    '$identify',
    'ann',
    { $device_id: 'a1', $anon_distinct_id: 'a1', $set: { email: 'ann@x.test' } },
  ],
  ['identify', { userId: 'ann' }, '$identify', 'ann', {}],
  [
    'identify',
    { anonymousId: 'a1', traits: { plan: 'free' } },
    '$set',
    'a1',
    { $device_id: 'a1', $set: { plan: 'free' } },
  ],
  [
    'group',
    { userId: 'ann', groupId: 'g1', traits: { seats: 7 } },
    '$groupidentify',
    'ann',
    { $group_type: 'company', $group_key: 'g1', $group_set: { seats: 7 } },
  ],
  ['alias', { userId: 'ann', previousId: 'old' }, '$create_alias', 'ann', { alias: 'old' }],
  ['alias', { userId: 17, previousId: 16 }, '$create_alias', '17', { alias: '16' }],
];

t.test('each message becomes its event, by its own path and in a batch', async (t) => {
  const { post, log } = await capture(t);
  for (const [type, fields, event, distinct_id, properties] of MAPPED) {
    await post(`/v1/${type}`, { ...COMMON, ...fields });
    await post('/v1/batch', { batch: [{ type, ...COMMON, ...fields }], writeKey: TOKEN });
    for (const taken of log.events().splice(-2)) {
      t.match(taken, { event, distinct_id, token: TOKEN, timestamp: '2026-11-22T11:00:00.000Z' }, type);
      t.same(JSON.parse(taken.data).properties, { ...LIBRARY, ...properties }, type);
    }
  }
  t.same(new Set(MAPPED.map(([type]) => type)), new Set(Object.keys(MESSAGES)), 'no type is left out');
});

t.test('the same message has the same uuid whenever it comes, and a UUID is its own', async (t) => {
  const { post, log } = await capture(t);
  const own = '0199a1b2-0000-7000-8000-000000000001';
  const track = { ...COMMON, event: 'x', userId: 'ann' };
  await post('/v1/track', track);
  await post('/v1/batch', { writeKey: TOKEN, batch: [{ ...track, type: 'track' }] });
  await post('/v1/track', { ...track, messageId: own });
  await post('/v1/track', { ...track, messageId: undefined });
  const [first, again, given, none] = log.events().map(({ uuid }) => uuid);
  t.equal(first, deriveMessageUuid(MESSAGE_ID));
  t.equal(again, first);
  t.equal(given, own);
  t.not(none, first);
});

t.test('what the context says is in the properties, and what has no place there is kept', async (t) => {
  const { post, log } = await capture(t);
  const at: Record<string, unknown> = {};
  const context: Record<string, unknown> = { active: true, page: { search: '?q' }, traits: { a: 1 } };
  for (const { from, to } of EVERY_MESSAGE) {
    const [head, key = '', inner] = from.split('.');
    if (head !== 'context') continue;
    const value = `a ${from}`;
    const before = typeof context[key] === 'object' ? context[key] : {};
    context[key] = inner === undefined ? value : { ...before, [inner]: value };
    const [outer = '', member] = to.split('.');
    at[outer] = member === undefined ? value : { [member]: value };
  }
  await post('/v1/track', { writeKey: TOKEN, event: 'x', userId: 'ann', context });
  const { properties } = JSON.parse(log.events()[0]?.data ?? '');
  const $segment_context = { active: true, page: { search: '?q' }, traits: { a: 1 } };
  t.same(properties, { ...at, $segment_context });
});

t.test('what the client puts into its properties wins over its context', async (t) => {
  const { post, log } = await capture(t);
  const properties = { $ip: '198.51.100.1', $lib: 'own', $device_id: 'own' };
  const context = { ip: '203.0.113.9', library: { name: 'theirs' } };
  await post('/v1/track', { ...COMMON, event: 'x', userId: 'ann', anonymousId: 'a1', context, properties });
  t.same(JSON.parse(log.events()[0]?.data ?? '').properties, properties);
});

t.test('a batch shares its key, its time and its context', async (t) => {
  const { post, log } = await capture(t);
  const message = { type: 'track', event: 'x', userId: 'ann', timestamp: '2026-11-22T13:00:00Z' };
  await post('/v1/batch', {
    writeKey: TOKEN,
    // An hour ahead of us.
    sentAt: '2026-11-22T13:00:00.000Z',
    context: { app: { name: 'Shop' }, ip: '203.0.113.9' },
    batch: [message, { ...message, context: { ip: '203.0.113.10' } }],
  });
  const [first, second] = log.events();
  t.match(first, { timestamp: '2026-11-22T12:00:00.000Z', sent_at: '2026-11-22T13:00:00.000Z' });
  t.match(JSON.parse(first?.data ?? '').properties, { $app_name: 'Shop', $ip: '203.0.113.9' });
  t.match(JSON.parse(second?.data ?? '').properties, { $app_name: 'Shop', $ip: '203.0.113.10' });
});

t.test('the write key: Basic authorization first, then the body, then its first message', async (t) => {
  const { post, log } = await capture(t);
  const basic = (key: string) => ({
    authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}`,
  });
  const track = { type: 'track', event: 'x', userId: 'ann' };
  const statuses = [];
  statuses.push((await post('/v1/batch', { batch: [track] }, basic(TOKEN))).status);
  statuses.push((await post('/v1/batch', { batch: [track], writeKey: 'phc_x' }, basic(TOKEN))).status);
  statuses.push((await post('/v1/batch', { batch: [track], writeKey: TOKEN }, basic(''))).status);
  statuses.push((await post('/v1/batch', { batch: [{ ...track, writeKey: TOKEN }] })).status);
  t.same(statuses, [200, 200, 200, 200]);
  const none = await post('/v1/batch', { batch: [track] });
  t.equal(none.status, 401);
  t.match(none.text, /write key is missing.*Basic authorization.*"writeKey"/);
  const unknown = await post('/v1/track', { ...track, writeKey: 'phc_nobody' });
  t.match([unknown.status, unknown.text], [401, /no project has the token "phc_nobody"/]);
  t.equal(log.events().length, 4);
});

t.test('a bad message refuses its request, which names it', async (t) => {
  const { post, log, server } = await capture(t);
  const track = { type: 'track', event: 'x', userId: 'ann' };
  const cases: readonly (readonly [unknown, RegExp, string])[] = [
    [{ ...track, type: 'view' }, /^event 1 \("x"\): "type" is none of .*track/, 'unknown_message_type'],
    [{ ...track, type: undefined }, /"type" is none of/, 'unknown_message_type'],
    [{ ...track, type: 'toString' }, /"type" is none of/, 'unknown_message_type'],
    [{ ...track, userId: null }, /^event 1 .*neither "userId" nor "anonymousId"/, 'missing_distinct_id'],
    [{ ...track, event: undefined }, /^event 1: "event" is missing/, 'missing_event_name'],
    [{ ...track, properties: [] }, /^event 1 .*"properties" is not an object/, 'invalid_properties'],
    ['x', /^event 1 is not a JSON object/, 'malformed_body'],
  ];
  for (const [message, text, reason] of cases) {
    const before = server.door().refused[reason] ?? 0;
    const reply = await post('/v1/batch', { writeKey: TOKEN, batch: [track, message] });
    t.equal(reply.status, 400);
    t.match(reply.text, text);
    t.equal(server.door().refused[reason], before + 1);
  }
  t.match((await post('/v1/batch', { writeKey: TOKEN, batch: {} })).text, /"batch" is not an array/);
  t.match((await post('/v1/track', [track])).text, /not a message/);
  t.match((await post('/v1/batch', { writeKey: TOKEN, batch: [] })).text, /holds no event/);
  t.equal(log.batches.length, 0);
});
