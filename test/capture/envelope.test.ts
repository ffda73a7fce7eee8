import t from 'tap';
import { capture, event, NOW, TOKEN } from './harness.ts';

t.test('a record has the envelope, key, headers and time that the worker expects', async (t) => {
  const { post, log } = await capture(t);
  const uuid = '0199A1B2-0000-7000-8000-000000000001';
  const sent = event({ uuid, timestamp: '2026-11-22T10:00:10Z' });
  const body = { api_key: TOKEN, batch: [sent], sent_at: '2026-11-22T12:00:10Z', historical_migration: true };
  await post('/batch/', body);
  const [taken] = log.events();
  if (taken === undefined) throw new Error('nothing was appended');
  const { record, data, ...envelope } = taken;
  t.same(envelope, {
    uuid: uuid.toLowerCase(),
    distinct_id: 'ann',
    ip: '127.0.0.1',
    now: '2026-11-22T12:00:00.000Z',
    sent_at: '2026-11-22T12:00:10.000Z',
    token: TOKEN,
    event: 'signup',
    timestamp: '2026-11-22T10:00:00.000Z',
    historical_migration: true,
  });
  t.same(JSON.parse(data), sent);
  t.equal(record.topic, 'events_plugin_ingestion');
  t.equal(record.key, `${TOKEN}:ann`);
  t.equal(record.timestamp, NOW);
  t.same(record.headers, {
    token: TOKEN,
    distinct_id: 'ann',
    event: 'signup',
    uuid: uuid.toLowerCase(),
    timestamp: String(Date.parse('2026-11-22T10:00:00Z')),
    now: '2026-11-22T12:00:00.000Z',
    historical_migration: 'true',
  });
});

t.test('an event without a uuid gets one of its own', async (t) => {
  const { post, log } = await capture(t);
  for (const uuid of [undefined, null, '']) await post('/e/', event({ uuid }));
  t.equal(new Set(log.events().map(({ uuid }) => uuid)).size, 3);
});

t.test('whom an event is about', async (t) => {
  const { post, log } = await capture(t);
  const long = '\u{1f600}'.repeat(300);
  const cases: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ distinct_id: 'root', properties: { distinct_id: 'inner' } }, 'root'],
    [{ distinct_id: undefined, $distinct_id: 'dollar', properties: { distinct_id: 'inner' } }, 'dollar'],
    [{ distinct_id: null, properties: { distinct_id: 'inner' } }, 'inner'],
    [{ distinct_id: 23 }, '23'],
    [{ distinct_id: 0 }, '0'],
    [{ distinct_id: false }, 'false'],
    [{ distinct_id: ['a', 1] }, '["a",1]'],
    [{ distinct_id: { a: 1 } }, '{"a":1}'],
    [{ distinct_id: 'null' }, 'null'],
    [{ distinct_id: ' padded ' }, ' padded '],
    [{ distinct_id: 'nul\0' }, 'nul\ufffd'],
    [{ distinct_id: 'half \ud83d' }, 'half \ufffd'],
    [{ distinct_id: 'pair \u{1f600}' }, 'pair \u{1f600}'],
    [{ distinct_id: 'x'.repeat(10_000) }, 'x'.repeat(200)],
    [{ distinct_id: long }, long.slice(0, 400)],
  ];
  for (const [fields] of cases) t.equal((await post('/e/', event(fields))).status, 200);
  t.same(
    log.events().map(({ distinct_id }) => distinct_id),
    cases.map(([, expected]) => expected),
  );
});

t.test('NUL and lone surrogates are gone from keys and values, and only from there', async (t) => {
  const { post, log } = await capture(t);
  const untouched =
    '{"api_key":"phc_tributary_dev",  "event":"e","distinct_id":"a","properties":{"n":1e400,"p":"\\ud83d\\ude00"}}';
  await post('/e/', untouched);
  await post('/e/', event({ event: 'na\0me', properties: { 'k\0': ['v\ud800', { x: 'fine' }] } }));
  await post(
    '/batch/',
    '{"api_key":"phc_tributary_dev","batch":[{"event":"e","distinct_id":"a","properties":{"__proto__":"\\u0000"}}]}',
  );
  const [first, second, third] = log.events();
  t.equal(first?.data, untouched, 'a single event that needs nothing is kept letter by letter');
  t.equal(second?.event, 'na\ufffdme');
  t.equal(second?.record.headers['event'], 'na\ufffdme');
  t.same(JSON.parse(second?.data ?? '').properties, { 'k\ufffd': ['v\ufffd', { x: 'fine' }] });
  t.match(third?.data, '"properties":{"__proto__":"\ufffd"}');
});

t.test('names are cut to 200 characters', async (t) => {
  const { post, log } = await capture(t);
  await post('/e/', event({ event: 'e'.repeat(300) }));
  t.equal(log.events()[0]?.event, 'e'.repeat(200));
});

t.test('when it was sent: the body before the query, and the query only in milliseconds', async (t) => {
  const { post, log } = await capture(t);
  const inQuery = Date.parse('2026-11-22T12:00:10Z');
  const batch = (sent_at?: string) => ({ api_key: TOKEN, batch: [event()], sent_at });
  await post(`/e/?_=${inQuery}`, batch('2026-11-22T11:00:00Z'));
  await post(`/e/?_=${inQuery}`, batch('nonsense'));
  await post(`/e/?_=${inQuery / 1000}`, batch());
  await post('/e/', event({ timestamp: '2026-11-22T11:00:00Z', properties: { $ignore_sent_at: true } }));
  await post(`/e/?_=${inQuery}`, event({ timestamp: '2026-11-22T11:00:00Z' }));
  await post(
    `/e/?_=${inQuery}`,
    event({ timestamp: '2026-11-22T11:00:00Z', properties: { $ignore_sent_at: true } }),
  );
  t.same(
    log.events().map(({ sent_at }) => sent_at),
    [
      '2026-11-22T11:00:00.000Z',
      '2026-11-22T12:00:10.000Z',
      undefined,
      undefined,
      '2026-11-22T12:00:10.000Z',
      '2026-11-22T12:00:10.000Z',
    ],
  );
  t.same(
    log
      .events()
      .map(({ timestamp }) => timestamp.slice(11, 19))
      .slice(3),
    ['11:00:00', '10:59:50', '11:00:00'],
  );
});

t.test('only a batch can be a historical import', async (t) => {
  const { post, log } = await capture(t);
  await post('/e/', event({ historical_migration: true }));
  await post('/batch/', { api_key: TOKEN, batch: [event({ historical_migration: true })] });
  await post('/batch/', { api_key: TOKEN, batch: [event()], historical_migration: 'true' });
  t.same(
    log.events().map(({ historical_migration }) => historical_migration),
    [undefined, undefined, undefined],
  );
});

t.test('the client behind a trusted proxy is believed, one behind another is not', async (t) => {
  const { post, log } = await capture(t, { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8', '2001:db8::/32'] });
  const strict = await capture(t, { trustedProxies: [] });
  const cases: readonly (readonly [string, string])[] = [
    ['203.0.113.7', '203.0.113.7'],
    ['6.6.6.6, 203.0.113.7', '203.0.113.7'],
    ['6.6.6.6, 203.0.113.7, 10.1.2.3, 2001:db8::1', '203.0.113.7'],
    ['203.0.113.7:5555', '203.0.113.7'],
    ['[2001:0DB9:0:0::1]:80', '2001:db9::1'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['10.1.2.3, 10.1.2.4', '10.1.2.3'],
    ['nonsense', '127.0.0.1'],
    ['203.0.113.7, nonsense, 10.1.2.3', '10.1.2.3'],
  ];
  for (const [header] of cases) await post('/e/', event(), { 'x-forwarded-for': header });
  t.same(
    log.events().map(({ ip }) => ip),
    cases.map(([, ip]) => ip),
  );

  await strict.post('/e/', event(), { 'x-forwarded-for': '203.0.113.7' });
  t.equal(strict.log.events()[0]?.ip, '127.0.0.1');
  t.equal((await strict.post('/e/', event({ properties: { capture_internal: true } }))).status, 200);
});

t.test('a second X-Forwarded-For, which the proxy added below a forged one, is not overlooked', async (t) => {
  const { raw, log } = await capture(t);
  const body = JSON.stringify(event());
  const lines = ['POST /e/ HTTP/1.1', 'Host: x', 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 203.0.113.7'];
  await raw([...lines, `Content-Length: ${body.length}`, '', body].join('\r\n'));
  t.equal(log.events()[0]?.ip, '203.0.113.7');
});

t.test('events from inside have the address of inside', async (t) => {
  const { post, log } = await capture(t);
  await post('/e/', event({ properties: { capture_internal: 1 } }), { 'x-forwarded-for': '203.0.113.7' });
  t.equal(log.events()[0]?.ip, '127.0.0.1');
});

t.test('a range of proxies that is none is an error that names the setting', async (t) => {
  for (const range of ['10.0.0.0/33', 'example.com', '10.0.0.0/', '']) {
    await t.rejects(capture(t, { trustedProxies: [range] }), /TRUSTED_PROXIES/);
  }
});
