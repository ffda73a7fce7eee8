import { gzipSync } from 'node:zlib';
import t from 'tap';
import { capture, event, TOKEN } from './harness.ts';

const json = JSON.stringify(event());
const gzip = gzipSync(json);
const base64 = (bytes: Buffer | string) => Buffer.from(bytes).toString('base64');
const form = (data: string) => `data=${encodeURIComponent(data)}`;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/** The same event, wrapped in every way. */
const ENCODED: readonly (readonly [string, string, string | Buffer, Record<string, string>?])[] = [
  ['plain JSON', '', json],
  ['plain JSON with white space around it', '', `\n ${json} \n`],
  ['JSON under the content type of a form, as curl -d sends it', '', json, FORM],
  ['JSON behind a UTF-8 byte order mark', '', `\ufeff${json}`],
  ['gzip told by its header', '', gzip, { 'content-encoding': 'gzip' }],
  ['gzip told by the query', '?compression=gzip-js', gzip],
  ['gzip told by its first bytes alone', '', gzip, { 'content-type': 'text/plain' }],
  ['plain JSON under the header of gzip', '', json, { 'content-encoding': 'gzip' }],
  ['plain JSON under an unknown encoding', '', json, { 'content-encoding': 'made-up' }],
  ['base64 in a form', '?compression=base64', form(base64(json)), FORM],
  [
    'base64 in a form that calls itself text',
    '?compression=base64',
    form(base64(json)),
    { 'content-type': 'text/plain' },
  ],
  ['JSON in a form', '', form(json), FORM],
  ['base64 of gzip in a form with other fields', '', `ip=1&_=1&${form(base64(gzip))}&ver=1`, FORM],
  ['base64 alone', '', base64(json)],
  ['gzip of base64', '', gzipSync(base64(json))],
];

t.test('an event is the same event in every encoding', async (t) => {
  const { post, log } = await capture(t);
  for (const [name, query, body, headers] of ENCODED) {
    const reply = await post(`/e/${query}`, body, headers);
    t.equal(reply.status, 200, `${name}: ${reply.text}`);
  }
  const taken = log.events();
  t.equal(taken.length, ENCODED.length);
  for (const { event, distinct_id, token } of taken)
    t.same([event, distinct_id, token], ['signup', 'ann', TOKEN]);
});

t.test('the plus signs of base64 survive a form that made them spaces', async (t) => {
  const { post, log } = await capture(t);
  const body = base64(JSON.stringify(event({ properties: { text: '~~~>>>~~~ÿÿÿ' } })));
  t.match(body, /\+/);
  const reply = await post('/e/', `data=${body.replaceAll('=', '%3D')}`, FORM);
  t.equal(reply.status, 200, reply.text);
  t.same(JSON.parse(log.events()[0]?.data ?? '').properties, { text: '~~~>>>~~~ÿÿÿ' });
});

t.test('a body that no encoding explains is refused with its fault', async (t) => {
  const { post, log } = await capture(t);
  const cases: readonly (readonly [string, string | Buffer, RegExp, Record<string, string>?])[] = [
    ['an empty body', '', /body is empty/],
    ['no JSON', '{"event"', /not JSON/],
    ['the text undefined', 'undefined', /not JSON/],
    ['gzip of gzip', gzipSync(gzip), /gzip inside gzip/],
    ['truncated gzip', gzip.subarray(0, gzip.length - 20), /not valid gzip/],
    [
      'gzip with a broken middle',
      Buffer.concat([gzip.subarray(0, 30), Buffer.alloc(20), gzip.subarray(50)]),
      /gzip/,
    ],
    ['UTF-16', Buffer.from(`\ufeff${json}`, 'utf16le'), /UTF-16/],
    [
      'an encoding that is not known',
      Buffer.from([1, 2, 3]),
      /"br" is not supported/,
      { 'content-encoding': 'br' },
    ],
    ['a form without data', 'ip=1', /no field "data"/, FORM],
    ['a form with a broken escape', 'data=%zz', /percent-encoded/, FORM],
    ['a number', '17', /not JSON|neither an event/],
    ['null', 'null ', /not JSON|neither an event/],
  ];
  for (const [name, body, fault, headers] of cases) {
    const reply = await post('/e/', body, headers);
    t.equal(reply.status, headers?.['content-encoding'] === 'br' ? 415 : 400, name);
    t.match(reply.text, fault, name);
  }
  t.equal(log.batches.length, 0);
});

t.test('bytes that are no UTF-8 are replaced and the event is taken', async (t) => {
  const { post, log } = await capture(t);
  const [before = '', after = ''] = JSON.stringify(event({ distinct_id: 'X' })).split('X');
  await post(
    '/e/',
    Buffer.concat([Buffer.from(before), Buffer.from([0x61, 0xff, 0xc3]), Buffer.from(after)]),
  );
  t.equal(log.events()[0]?.distinct_id, 'a\ufffd\ufffd');
});

t.test('a gzip bomb is refused, and takes little memory', async (t) => {
  const { post } = await capture(t);
  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, ' '));
  const before = process.memoryUsage().rss;
  const startMs = performance.now();
  const reply = await post('/e/', bomb);
  const tookMs = performance.now() - startMs;
  t.equal(reply.status, 413);
  t.match(reply.text, /decoded body is larger than 20971520 bytes/);
  t.comment(`it took ${tookMs} ms`);
  t.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024);
});

t.test(
  'one event, an array, a batch under either name of the token: all become records in order',
  async (t) => {
    const { post, log } = await capture(t);
    const named = (name: string) => ({ event: name, distinct_id: 'ann' });
    const two = [named('a'), named('b')];
    const bodies = [
      event({ event: 'a' }),
      [event({ event: 'a' }), named('b')],
      { api_key: TOKEN, batch: two },
      { token: TOKEN, batch: two, sent_at: '2026-11-22T12:00:00Z' },
      { api_key: TOKEN, batch: [{ event: 'a', properties: { distinct_id: 'ann', token: 'of their own' } }] },
    ];
    for (const path of ['/batch', '/batch/', '/e', '/capture/', '/track', '/i/v0/e', '/i/v0/e/', '/engage']) {
      for (const body of bodies) {
        const reply = await post(path, body);
        t.same([reply.status, reply.text], [200, '{"status":1}'], path);
      }
    }
    for (const [i, batch] of log.batches.entries()) {
      const names = batch.map(({ headers }) => headers['event']);
      t.same(names, ['a', 'b'].slice(0, [1, 2, 2, 2, 1][i % bodies.length]));
    }
  },
);

t.test('what comes to /engage without a name is an $identify', async (t) => {
  const { post, log } = await capture(t);
  await post('/engage/', { $token: TOKEN, $distinct_id: 'ann', $set: { plan: 'paid' } });
  await post('/engage', { $token: TOKEN, $distinct_id: 'ann', event: 'other' });
  const [identify, other] = log.events();
  t.same([identify?.event, identify?.distinct_id], ['$identify', 'ann']);
  t.same(JSON.parse(identify?.data ?? '').$set, { plan: 'paid' });
  t.equal(other?.event, 'other');
});

t.test('data of products that are not here is taken, counted and kept nowhere', async (t) => {
  const { post, log, server } = await capture(t);
  const discarded = ['$snapshot', '$snapshot_items', '$performance_event', '$$heatmap'];
  const reply = await post('/batch/', {
    api_key: TOKEN,
    batch: [...discarded, 'kept'].map((name) => event({ event: name })),
  });
  t.equal(reply.status, 200);
  t.same(
    log.events().map(({ event }) => event),
    ['kept'],
  );
  t.equal((await post('/e/', event({ event: '$snapshot' }))).status, 200);
  t.equal(log.batches.length, 1, 'nothing is appended when nothing is left');
  t.same(server.door().discarded, { session_recording: 3, performance_event: 1, heatmap: 1 });
});
