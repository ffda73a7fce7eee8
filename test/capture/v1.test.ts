/** Capture V1: what comes back into the properties, and what each event and each fault is answered. */
import t from 'tap';
import { LogUnavailableError } from '../../src/storage/event-log.ts';
import { capture, NOW, TOKEN } from './harness.ts';

const PATH = '/i/v1/analytics/events';
const uuid = (n: number) => `0199a1b2-0000-7000-8000-${String(n).padStart(12, '0')}`;
const REQUEST_ID = '01a20389-e4df-7a81-9737-e602baff031c';

const HEADERS = {
  authorization: `Bearer ${TOKEN}`,
  'content-type': 'application/json',
  'posthog-sdk-info': 'posthog-node/5.70.0',
  'posthog-attempt': '1',
  'posthog-request-id': REQUEST_ID,
  'posthog-request-timestamp': new Date(NOW).toISOString(),
};

const event = (n: number, fields: object = {}) => ({
  event: 'signup',
  uuid: uuid(n),
  distinct_id: 'ann',
  timestamp: '2026-11-22T11:00:00.000Z',
  options: {},
  properties: { plan: 'free' },
  ...fields,
});

const batch = (...events: unknown[]) => ({ created_at: new Date(NOW).toISOString(), batch: events });

t.test('what V1 has moved out of the properties is back in them', async (t) => {
  const { post, log } = await capture(t);
  const options = {
    process_person_profile: false,
    cookieless_mode: false,
    disable_skew_correction: true,
    product_tour_id: 'tour',
  };
  const sent = event(1, { session_id: 's', window_id: 'w', options });
  const reply = await post(PATH, batch(sent), HEADERS);
  t.same(JSON.parse(reply.text), { results: { [uuid(1)]: { result: 'ok' } } });
  t.equal(reply.headers.get('posthog-request-id'), REQUEST_ID);
  t.equal(reply.headers.get('retry-after'), null);
  const [taken] = log.events();
  t.match(taken, { event: 'signup', distinct_id: 'ann', uuid: uuid(1), token: TOKEN });
  t.same(JSON.parse(taken?.data ?? ''), {
    event: 'signup',
    uuid: uuid(1),
    distinct_id: 'ann',
    timestamp: '2026-11-22T11:00:00.000Z',
    properties: {
      $lib: 'posthog-node',
      $lib_version: '5.70.0',
      $session_id: 's',
      $window_id: 'w',
      $process_person_profile: false,
      $cookieless_mode: false,
      $ignore_sent_at: true,
      $product_tour_id: 'tour',
      plan: 'free',
    },
  });
});

t.test('what a client has put into the properties itself stays', async (t) => {
  const { post, log } = await capture(t);
  const properties = { $lib: 'mine', $session_id: 'own', $set: { a: 1 } };
  await post(PATH, batch(event(1, { session_id: 's', properties, $set: { b: 2 } })), HEADERS);
  const data = JSON.parse(log.events()[0]?.data ?? '');
  t.match(data.properties, properties);
  t.same(data.$set, { b: 2 });
});

t.test('options are read as generously as they are written', async (t) => {
  const { post, log } = await capture(t);
  const values: readonly (readonly [unknown, unknown])[] = [
    [true, true],
    ['false', false],
    [' TRUE ', true],
    ['0', false],
    [1, true],
    [0, false],
    [null, undefined],
  ];
  for (const [n, [process_person_profile]] of values.entries()) {
    const reply = await post(PATH, batch(event(n, { options: { process_person_profile } })), HEADERS);
    t.match(reply.text, /"result":"ok"/);
  }
  const found = log.events().map(({ data }) => JSON.parse(data).properties.$process_person_profile);
  t.same(
    found,
    values.map(([, expected]) => expected),
  );
  await post(PATH, batch(event(1, { options: null }), event(2, { options: undefined })), HEADERS);
  t.equal(log.events().length, values.length + 2);
});

t.test('the time of the request corrects the clock of the client', async (t) => {
  const { post, log } = await capture(t);
  const inAnHour = { ...HEADERS, 'posthog-request-timestamp': '2026-11-22T14:00:00+01:00' };
  const hourAhead = { ...HEADERS, 'posthog-request-timestamp': '2026-11-22T13:00:00.000000+00:00' };
  const asItIs = event(2, { options: { disable_skew_correction: true } });
  await post(PATH, batch(event(1), asItIs), hourAhead);
  await post(PATH, batch(event(3)), inAnHour);
  await post(PATH, batch(event(4)), { ...HEADERS, 'posthog-request-timestamp': '' });
  const { 'posthog-request-timestamp': _, ...without } = HEADERS;
  await post(PATH, batch(event(5)), without);
  t.same(
    log.events().map(({ timestamp }) => timestamp.slice(11, 16)),
    ['10:00', '11:00', '10:00', '11:00', '11:00'],
  );
});

t.test('historical and internal batches say so on each of their events', async (t) => {
  const { post, log } = await capture(t);
  const headers = { ...HEADERS, 'x-forwarded-for': '203.0.113.7' };
  await post(PATH, { ...batch(event(1)), historical_migration: true, capture_internal: true }, headers);
  t.match(log.events()[0], { historical_migration: true, ip: '127.0.0.1' });
});

t.test('an event that cannot be taken is dropped by name, and the others are taken', async (t) => {
  const { post, log, server } = await capture(t);
  const bad: readonly (readonly [object, RegExp, string])[] = [
    [{ event: '' }, /^event 0 \(uuid .*"event" is missing/, 'missing_event_name'],
    [{ event: 5 }, /"event" is not a string/, 'invalid_event_name'],
    [{ distinct_id: ' ' }, /distinct_id is missing/, 'missing_distinct_id'],
    [{ properties: [] }, /"properties" is not an object/, 'invalid_properties'],
    [{ options: 'x' }, /"options" is not an object/, 'invalid_options'],
    [
      { options: { cookieless_mode: 'maybe' } },
      /the option "cookieless_mode" is of a wrong type/,
      'invalid_options',
    ],
    [{ options: { product_tour_id: {} } }, /"product_tour_id" is of a wrong type/, 'invalid_options'],
    [{ properties: { x: 'x'.repeat(1_000_000) } }, /it takes \d+ bytes on the log/, 'event_too_large'],
  ];
  for (const [fields, details, reason] of bad) {
    const before = server.door().refused[reason] ?? 0;
    const reply = await post(PATH, batch(event(1, fields), event(2)), HEADERS);
    t.equal(reply.status, 200);
    const { results } = JSON.parse(reply.text);
    t.same(results[uuid(2)], { result: 'ok' });
    t.equal(results[uuid(1)].result, 'drop');
    t.match(results[uuid(1)].details, details);
    t.equal(server.door().refused[reason], before + 1, reason);
  }
  t.same(new Set(log.events().map(({ uuid }) => uuid)), new Set([uuid(2)]));
  const none = await post(PATH, batch(event(1, { event: '' })), HEADERS);
  t.match(JSON.parse(none.text), { results: { [uuid(1)]: { result: 'drop' } } });
  t.equal(log.events().length, bad.length);
});

t.test('what is not kept anywhere counts as taken', async (t) => {
  const { post, log, server } = await capture(t);
  const reply = await post(PATH, batch(event(1, { event: '$performance_event' })), HEADERS);
  t.same(JSON.parse(reply.text), { results: { [uuid(1)]: { result: 'ok' } } });
  t.same([log.batches.length, server.door().discarded], [0, { performance_event: 1 }]);
});

t.test('a request that is refused as a whole has a status, a tag and a word', async (t) => {
  const { post, log } = await capture(t);
  const as = (changes: Record<string, string>) => ({ ...HEADERS, ...changes });
  const { authorization: _, ...anonymous } = HEADERS;
  const good = batch(event(1));
  const cases: readonly (readonly [unknown, Record<string, string>, number, string, RegExp])[] = [
    [good, anonymous, 401, 'missing_authorization', /Authorization: Bearer/],
    [good, as({ authorization: 'Basic abc' }), 401, 'missing_authorization', /Bearer/],
    [good, as({ authorization: 'Bearer phx_secret' }), 401, 'invalid_api_token', /personal_api_key/],
    [good, as({ authorization: 'Bearer phc_nobody' }), 401, 'invalid_api_token', /no project has the token/],
    [good, as({ 'content-type': 'text/plain' }), 415, 'unsupported_content_type', /"text\/plain"/],
    [good, as({ 'content-encoding': 'lz4' }), 415, 'unsupported_encoding', /"lz4" is not supported/],
    ['', HEADERS, 400, 'empty_body', /body is empty/],
    ['{"batch":', HEADERS, 400, 'request_parsing_error', /not JSON/],
    [[event(1)], HEADERS, 400, 'request_parsing_error', /"batch"/],
    [batch('x'), HEADERS, 400, 'request_parsing_error', /event 0 is not a JSON object/],
    [batch(), HEADERS, 400, 'empty_batch', /holds no event/],
    [batch(event(1, { uuid: '' })), HEADERS, 400, 'missing_event_uuid', /^event 0 \("signup"\)/],
    [batch(event(1), event(2, { uuid: 'x' })), HEADERS, 400, 'invalid_event_uuid', /^event 1 .*not a UUID/],
    [batch(event(1), event(1)), HEADERS, 400, 'duplicate_event_uuid', /^event 1 /],
    [batch(...Array(20_001).fill({})), HEADERS, 400, 'missing_event_uuid', /^event 0/],
    [
      batch(...Array.from({ length: 20_001 }, (_, i) => ({ uuid: uuid(i) }))),
      HEADERS,
      413,
      'payload_too_large',
      /20001 events/,
    ],
  ];
  for (const [body, headers, status, error, description] of cases) {
    const reply = await post(PATH, body, headers);
    t.equal(reply.status, status, error);
    const said = JSON.parse(reply.text);
    t.match(said, { error, error_description: description, error_uri: /^https:/ }, error);
    t.equal(reply.headers.get('posthog-request-id'), REQUEST_ID, 'the id of the request is said back');
    t.equal(reply.headers.get('retry-after'), null);
  }
  t.equal(log.batches.length, 0);
});

t.test('when nothing can be stored the whole request is to come again', async (t) => {
  const { post, log } = await capture(t);
  log.gate = () => Promise.reject(new LogUnavailableError('away'));
  const reply = await post(PATH, batch(event(1)), HEADERS);
  t.same([reply.status, reply.headers.get('retry-after')], [503, '5']);
  t.match(JSON.parse(reply.text), { error: 'service_unavailable' });
});

t.test('an id of a request that could harm a header is not said back', async (t) => {
  const { post } = await capture(t);
  for (const id of ['a b', 'x'.repeat(200)]) {
    const reply = await post(PATH, batch(event(1)), { ...HEADERS, 'posthog-request-id': id });
    t.same([reply.status, reply.headers.get('posthog-request-id')], [200, null]);
  }
});
