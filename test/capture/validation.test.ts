import t from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { capture, event, TEAM, TOKEN } from './harness.ts';

const uuid = '0199a1b2-0000-7000-8000-000000000001';
const without = (name: string) => ({ ...event(), [name]: undefined });
const batch = (...events: unknown[]) => ({ api_key: TOKEN, batch: events });
const nested = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);

/** Payload, status, text, reason. */
const REFUSED: readonly (readonly [string, unknown, number, RegExp, string])[] = [
  ['a batch without events', batch(), 400, /holds no event/, 'empty_batch'],
  ['an empty array', [], 400, /holds no event/, 'empty_batch'],
  [
    'a batch that is no array',
    { api_key: TOKEN, batch: 'x' },
    400,
    /"batch" is not an array/,
    'malformed_body',
  ],
  ['a text', '"hello"', 400, /neither an event, an array/, 'malformed_body'],
  ['an event that is a text', batch(event(), 'x'), 400, /^event 1 is not a JSON object/, 'malformed_body'],
  ['an event that is null', batch(null), 400, /^event 0 is not a JSON object/, 'malformed_body'],
  ['no event name', without('event'), 400, /^event 0: "event" is missing/, 'missing_event_name'],
  ['an empty event name', event({ event: '' }), 400, /"event" is missing/, 'missing_event_name'],
  [
    'an event name that is a number',
    event({ event: 5 }),
    400,
    /"event" is not a string/,
    'invalid_event_name',
  ],
  [
    'the last of four events without a distinct id',
    batch(event(), event(), event(), event({ distinct_id: null, uuid })),
    400,
    /^event 3 \("signup", uuid "0199a1b2-0000-7000-8000-000000000001"\): distinct_id is missing\n$/,
    'missing_distinct_id',
  ],
  [
    'a distinct id of spaces',
    event({ distinct_id: ' \t\n ' }),
    400,
    /distinct_id is missing/,
    'missing_distinct_id',
  ],
  [
    'a distinct id that is no number',
    '{"api_key":"phc_tributary_dev","event":"e","distinct_id":1e400}',
    400,
    /distinct_id/,
    'missing_distinct_id',
  ],
  ['a uuid that is none', event({ uuid: 'node-next-1-2' }), 400, /"uuid" is not a UUID/, 'invalid_uuid'],
  ['a uuid that is a number', event({ uuid: 1 }), 400, /"uuid" is not a UUID/, 'invalid_uuid'],
  [
    'properties that are an array',
    event({ properties: [] }),
    400,
    /"properties" is not an object/,
    'invalid_properties',
  ],
  [
    'properties that are null',
    event({ properties: null }),
    400,
    /"properties" is not an object/,
    'invalid_properties',
  ],
  [
    'a cookieless mode that is a text',
    event({ properties: { $cookieless_mode: 'true' } }),
    400,
    /"\$cookieless_mode" is not a boolean/,
    'invalid_cookieless_mode',
  ],
  [
    'nesting',
    event({ properties: nested(100) }),
    400,
    /^event 0 \("signup"\): it is nested more than 100 deep/,
    'too_deep',
  ],
  ['nesting of 5,000', event({ x: nested(3_000) }), 400, /nested/, 'too_deep'],
  [
    'too many keys',
    event({ properties: Object.fromEntries(Array.from({ length: 50_001 }, (_, i) => [`k${i}`, 1])) }),
    400,
    /more than 50000 keys/,
    'too_many_keys',
  ],
  [
    'an event of 1 MB',
    batch(event(), event({ properties: { x: 'x'.repeat(1_000_000) } })),
    413,
    /^event 1 \("signup"\): it takes \d+ bytes/,
    'event_too_large',
  ],
  [
    '20,001 events',
    batch(...Array.from({ length: 20_001 }, () => 0)),
    413,
    /holds 20001 events/,
    'too_many_events',
  ],
  ['no token', without('api_key'), 401, /token is missing/, 'missing_token'],
  [
    'a null token',
    batch().api_key && { api_key: null, batch: [without('api_key')] },
    401,
    /token is missing/,
    'missing_token',
  ],
  ['an empty token', { api_key: '', batch: [event()] }, 401, /API key is not valid: empty/, 'invalid_token'],
  ['a token of spaces', event({ api_key: '  ' }), 401, /not valid: empty/, 'invalid_token'],
  ['a long token', event({ api_key: 'x'.repeat(65) }), 401, /not valid: too_long/, 'invalid_token'],
  ['a foreign token', event({ api_key: 'phc_é' }), 401, /not valid: not_ascii/, 'invalid_token'],
  ['a token with NUL', event({ api_key: 'phc_\0' }), 401, /not valid: null_byte/, 'invalid_token'],
  ['a personal key', event({ api_key: 'phx_secret' }), 401, /not valid: personal_api_key/, 'invalid_token'],
  ['a token that is a number', event({ api_key: 5 }), 401, /not valid: not_a_string/, 'invalid_token'],
  ['tokens that differ', [event(), event({ api_key: 'phc_b' })], 401, /different tokens/, 'several_tokens'],
  [
    'a token nobody has',
    event({ api_key: 'phc_nobody' }),
    401,
    /no project has the token "phc_nobody"/,
    'unknown_token',
  ],
];

t.test('a request with one bad event is refused as a whole, and the answer names the fault', async (t) => {
  const { post, log, server } = await capture(t);
  for (const [name, body, status, text, reason] of REFUSED) {
    const before = server.door().refused[reason] ?? 0;
    const reply = await post('/batch/', body);
    t.equal(reply.status, status, name);
    t.match(reply.text, text, name);
    t.equal(server.door().refused[reason], before + 1, `${name} is counted as ${reason}`);
  }
  t.equal(log.batches.length, 0);
  t.equal((await post('/e/', event())).status, 200, 'the next event goes through');
});

t.test('what is unusual and allowed is taken', async (t) => {
  const { post, log } = await capture(t);
  const allowed: readonly (readonly [string, unknown])[] = [
    ['the deepest nesting', event({ properties: nested(99) })],
    ['the nil UUID', event({ uuid: '00000000-0000-0000-0000-000000000000' })],
    ['a UUID without hyphens', event({ uuid: uuid.replaceAll('-', '') })],
    ['no properties', without('properties')],
    ['the token in $token', { ...without('api_key'), $token: TOKEN }],
    ['the token in the properties', { ...without('api_key'), properties: { token: TOKEN } }],
    ['the token with spaces around it', event({ api_key: ` ${TOKEN} ` })],
    ['a token beside an event without one', [event(), without('api_key')]],
    ['a property that is called token', batch(event({ properties: { token: 'phx_of their own' } }))],
    [
      '__proto__ and constructor',
      `{"api_key":"${TOKEN}","event":"e","distinct_id":"a","__proto__":{"event":1},"constructor":1}`,
    ],
  ];
  for (const [name, body] of allowed) {
    const reply = await post('/batch/', body);
    t.equal(reply.status, 200, `${name}: ${reply.text}`);
  }
  t.equal(log.batches.length, allowed.length);
  for (const { token } of log.events()) t.equal(token, TOKEN);
});

t.test(
  'a project is asked for when it is not known, and events are taken when nobody can be asked',
  async (t) => {
    const asked: string[] = [];
    const { post, log } = await capture(t, {
      teams: {
        cached: () => 'ask',
        async byToken(token) {
          asked.push(token);
          if (token === 'phc_away') throw new Error('the database is away');
          return token === TOKEN ? TEAM : undefined;
        },
      },
    });
    t.equal((await post('/e/', event())).status, 200);
    t.equal((await post('/e/', event({ api_key: 'phc_nobody' }))).status, 401);
    t.equal((await post('/e/', event({ api_key: 'phc_away' }))).status, 200);
    t.same(asked, [TOKEN, 'phc_nobody', 'phc_away']);
    t.equal(log.events().length, 2);
  },
);

t.test(
  'a body over the limit gets its 413, declared or not, also while it is still being sent',
  async (t) => {
    const { post, raw, server, log } = await capture(t);
    const { bodyBytesMax } = LIMITS.capture;
    const fits = JSON.stringify(
      batch(...Array.from({ length: 20 }, () => event({ properties: { x: 'x'.repeat(900_000) } }))),
    );
    t.equal((await post('/batch/', fits)).status, 200, 'a body below it is taken');
    t.equal(log.events().length, 20);

    const declared = await post('/batch/', Buffer.alloc(30_000_000, ' '));
    t.same(
      [declared.status, declared.text],
      [413, `the body is larger than ${bodyBytesMax} bytes: send fewer events at once\n`],
    );

    const chunk = Buffer.concat([
      Buffer.from('f4240\r\n'),
      Buffer.alloc(1_000_000, ' '),
      Buffer.from('\r\n'),
    ]);
    const head = 'POST /e/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    const undeclared = await raw(head, ...Array.from({ length: 22 }, () => chunk));
    t.equal(undeclared.end, 'closed', 'one without an end in sight ends with its connection');
    t.equal(server.door().refused['body_too_large'], 2);
  },
);
