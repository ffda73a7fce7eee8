import t from 'tap';
import { OF_ONE_EVENT, REACTIONS, reasonsByStatus, statusOf } from '../../src/capture/api/conditions.ts';
import type { CaptureOptions } from '../../src/capture/server.ts';
import { REFUSAL_REASONS, type RefusalReason } from '../../src/event/outcome.ts';
import { LIMITS } from '../../src/limits.ts';
import { LogFullError, LogUnavailableError } from '../../src/storage/event-log.ts';
import { capture, event, TOKEN } from './harness.ts';

interface Condition {
  /** `/batch` if absent. */
  readonly path?: string;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the log. */
  readonly fails?: Error;
  readonly options?: Partial<CaptureOptions>;
  /** What the text has to name. */
  readonly names?: RegExp;
}

const UUID = '01980000-0000-7000-8000-000000000001';
const V1 = { path: '/i/v1/analytics/events', headers: { authorization: `Bearer ${TOKEN}` } };
const GOOD = { event: 'good', distinct_id: 'ann' };

/** A batch whose second event is this one. */
const second = (bad: unknown) => ({ api_key: TOKEN, batch: [GOOD, bad] });
const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });

/** One request for each reason. */
const CONDITIONS: Readonly<Record<RefusalReason, Condition>> = {
  malformed_body: { body: '{"api_key":', names: /not JSON/ },
  empty_body: { body: '', names: /empty/ },
  empty_batch: { body: { api_key: TOKEN, batch: [] }, names: /no event/ },
  too_many_events: {
    body: second(GOOD),
    options: { limits: { eventsPerBatchMax: 1 } },
    names: /2 events, more than 1/,
  },
  too_deep: { body: second({ ...GOOD, properties: deep(101) }), names: /event 1 \("good"\).*nested/ },
  too_many_keys: {
    body: second({ ...GOOD, properties: { a: Array.from({ length: 50_001 }, () => 0) } }),
    names: /event 1 \("good"\).*keys/,
  },
  missing_event_name: { body: second({ distinct_id: 'ann', uuid: UUID }), names: /event 1 \(uuid .*"event"/ },
  invalid_event_name: { body: second({ ...GOOD, event: 7 }), names: /event 1: "event" is not a string/ },
  missing_distinct_id: { body: second({ event: 'x' }), names: /event 1 \("x"\): distinct_id/ },
  invalid_uuid: { body: second({ ...GOOD, uuid: 'x' }), names: /event 1 \(.*"uuid" is not/ },
  missing_uuid: { ...V1, body: { batch: [{ ...GOOD, uuid: UUID }, GOOD] }, names: /event 1 .*uuid/ },
  duplicate_uuid: {
    ...V1,
    body: {
      batch: [
        { ...GOOD, uuid: UUID },
        { ...GOOD, uuid: UUID },
      ],
    },
    names: /event 1 .*uuid/,
  },
  invalid_properties: { body: second({ ...GOOD, properties: [] }), names: /event 1 .*"properties"/ },
  invalid_cookieless_mode: {
    body: second({ ...GOOD, properties: { $cookieless_mode: 'yes' } }),
    names: /event 1 .*\$cookieless_mode/,
  },
  invalid_options: {
    ...V1,
    body: { batch: [{ ...GOOD, uuid: UUID, options: 1 }] },
    names: /event 0 .*options/,
  },
  unknown_message_type: {
    path: '/v1/batch',
    body: { writeKey: TOKEN, batch: [{ type: 'dance', userId: 'ann', messageId: 'm' }] },
    names: /event 0.*"type"/,
  },
  missing_token: { body: { batch: [GOOD] }, names: /token is missing/ },
  invalid_token: { body: event({ api_key: 'phx_personal' }), names: /personal_api_key/ },
  several_tokens: { body: [event(), event({ api_key: 'phc_other' })], names: /different tokens/ },
  unknown_token: { body: event({ api_key: 'phc_nobody' }), names: /"phc_nobody"/ },
  body_too_large: { body: 'x'.repeat(101), options: { limits: { bodyBytesMax: 100 } }, names: /100 bytes/ },
  event_too_large: {
    body: second({ ...GOOD, properties: { x: 'x'.repeat(1_000_000) } }),
    names: /event 1 \("good"\)/,
  },
  unsupported_encoding: { body: 'xyz!', headers: { 'content-encoding': 'br' }, names: /"br"/ },
  unsupported_content_type: {
    path: V1.path,
    headers: { ...V1.headers, 'content-type': 'text/csv' },
    body: 'a,b',
    names: /text\/csv/,
  },
  overloaded: { body: event(), options: { limits: { bytesInFlightMax: 1 } }, names: /later/ },
  log_full: { body: event(), fails: new LogFullError('full'), names: /full/ },
  log_unavailable: { body: event(), fails: new LogUnavailableError('away'), names: /later/ },
  internal_error: {
    body: event(),
    options: {
      newUuid: () => {
        throw new Error('no chance');
      },
    },
    names: /later/,
  },
};

t.test(
  'each condition has the status and the reason that are documented, and a text that helps',
  async (t) => {
    for (const reason of REFUSAL_REASONS) {
      const { path = '/batch', body, headers, fails, options, names = /./ } = CONDITIONS[reason];
      const { post, log, server } = await capture(t, options);
      if (fails !== undefined) log.gate = () => Promise.reject(fails);
      const contentType = path === V1.path ? { 'content-type': 'application/json' } : {};
      const reply = await post(path, body, { origin: 'https://example.com', ...contentType, ...headers });
      if (path === V1.path && OF_ONE_EVENT.has(reason)) {
        t.match(JSON.parse(reply.text), { results: { [UUID]: { result: 'drop', details: names } } }, reason);
        t.equal(reply.status, 200, reason);
      } else {
        t.equal(String(reply.status), statusOf(reason).slice(0, 3), `${reason}: ${reply.text}`);
        const text = path === V1.path ? JSON.parse(reply.text).error_description : reply.text;
        t.match(text, names, reason);
      }
      t.same(Object.keys(server.door().refused), [reason]);
      if (fails === undefined) t.equal(log.events().length, 0, `${reason}: nothing of the request is kept`);
      if (reply.status === 503) {
        t.equal(reply.headers.get('retry-after'), String(LIMITS.capture.retryAfterSeconds), reason);
      }
      t.equal(reply.headers.get('access-control-expose-headers'), 'Retry-After', reason);
    }
  },
);

t.test('V1 refuses one bad event alone', async (t) => {
  const { post, log } = await capture(t);
  const bad: Partial<Record<RefusalReason, object>> = {
    missing_event_name: { event: '' },
    missing_distinct_id: { distinct_id: '' },
    invalid_properties: { properties: [] },
    invalid_options: { options: { process_person_profile: 'perhaps' } },
    event_too_large: { properties: { x: 'x'.repeat(1_000_000) } },
  };
  for (const [reason, fields] of Object.entries(bad)) {
    const other = UUID.replace(/1$/, '2');
    const batch = [
      { ...GOOD, uuid: UUID },
      { ...GOOD, uuid: other, ...fields },
    ];
    const reply = await post(V1.path, { batch }, { ...V1.headers, 'content-type': 'application/json' });
    t.match(
      JSON.parse(reply.text).results,
      { [UUID]: { result: 'ok' }, [other]: { result: 'drop' } },
      reason,
    );
  }
  t.equal(log.events().length, Object.keys(bad).length);
});

t.test('what each client does is documented for every status, and none is 408 or 429', async (t) => {
  const statuses = [...reasonsByStatus().keys()].map((status) => status.slice(0, 3));
  for (const status of [...statuses, '200', '404', '405']) t.ok(REACTIONS[status], status);
  t.notOk(statuses.includes('408') || statuses.includes('429'));
  t.equal((await ask(t, '/nowhere')).status, 404);
  t.equal((await ask(t, '/array/x/config', 'POST')).status, 405);
  t.equal((await ask(t, '/batch', 'OPTIONS')).status, 200);
});

async function ask(t: Parameters<typeof capture>[0], path: string, method = 'GET') {
  const { url } = await capture(t);
  return fetch(url + path, { method });
}
