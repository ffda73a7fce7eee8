/** Bad and odd payloads, one of every kind, and what each of them has to end in. */
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type Row, TOKEN } from './harness.ts';

/** What a posted event ends in. */
export type Ending =
  | RowEnding
  | { readonly kind: 'dead_letter'; readonly reason: string; readonly warning?: string }
  | { readonly kind: 'dropped'; readonly reason: string; readonly warning?: string }
  /** Taken with 200, kept nowhere. */
  | { readonly kind: 'discarded'; readonly reason: string }
  /** `says`: the answer names the fault. */
  | { readonly kind: 'refused'; readonly reason: string; readonly status: number; readonly says: RegExp };

/** One row by the event's uuid, with at least these columns and properties. */
export interface RowEnding {
  readonly kind: 'row';
  readonly columns?: Readonly<Record<string, unknown>>;
  readonly properties?: Row;
  readonly person?: Row;
  /** Type of the ingestion warning that names the event. */
  readonly warning?: string;
}

/**
 * What is posted: members that an otherwise ordinary event has instead of its own, the same as JSON text, or a whole
 * body.
 */
type Posted = Row | string | Uint8Array;
export type Payload = readonly [name: string, posted: Posted, ending: Ending];

export function bodyOf(posted: Posted, uuid: string): string | Uint8Array {
  if (posted instanceof Uint8Array) return posted;
  const ordinary = { api_key: TOKEN, uuid, event: 'payload', distinct_id: `payload ${uuid}` };
  if (typeof posted !== 'string') return JSON.stringify({ ...ordinary, ...posted });
  // The last of several members of the same name counts.
  return `${JSON.stringify(ordinary).slice(0, -1)},${posted}}`;
}

const row = (columns: Row = {}, more: Omit<RowEnding, 'kind' | 'columns'> = {}): Ending => ({
  kind: 'row',
  columns,
  ...more,
});
const properties = (expected: Row): Ending => row({}, { properties: expected });
const person = (expected: Row): Ending => row({}, { person: expected });
const refused = (reason: string, says: RegExp, status = 400): Ending => ({
  kind: 'refused',
  reason,
  status,
  says,
});

const KIB = 1024;
const CUT = { warning: 'distinct_id_truncated' };
const NIL = '00000000-0000-0000-0000-000000000000';
export const REPEATED_UUID = '0199bbbb-0000-7000-8000-0000000000ff';
const repeated = { uuid: REPEATED_UUID, distinct_id: 'sends twice' };

const text = (body: string): Uint8Array => Buffer.from(body);
const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const keys = (count: number): Row =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 0]));
/** Text that does not compress. */
const noise = (chars: number): string =>
  randomBytes(Math.ceil(chars / 2))
    .toString('hex')
    .slice(0, chars);
const batch = (...events: readonly object[]): Uint8Array =>
  text(JSON.stringify({ api_key: TOKEN, batch: events }));

const HOUR_MS = 60 * 60 * 1000;
const begun = Date.now();
const hoursFromNow = (value: unknown): number =>
  Math.abs(Date.parse(`${String(value).replace(' ', 'T')}Z`) - begun) / HOUR_MS;
const nearNow = (value: unknown): boolean => hoursFromNow(value) < 1;
const farFromNow = (value: unknown): boolean => hoursFromNow(value) > 19;
const inHours = (hours: number): string => new Date(Date.now() + hours * HOUR_MS).toISOString();

const IDS: readonly Payload[] = [
  ['NUL in a distinct id', { distinct_id: 'a\0b' }, row({ distinct_id: 'a\ufffdb' })],
  ['a lone surrogate in a distinct id', { distinct_id: 'a\ud800b' }, row({ distinct_id: 'a\ufffdb' })],
  ['an empty distinct id', { distinct_id: '' }, refused('missing_distinct_id', /distinct_id is missing/)],
  [
    'a distinct id of spaces',
    { distinct_id: ' \t\n' },
    refused('missing_distinct_id', /distinct_id is missing/),
  ],
  ['a distinct id null', { distinct_id: null }, refused('missing_distinct_id', /distinct_id is missing/)],
  ['a distinct id 1e400', '"distinct_id":1e400', refused('missing_distinct_id', /distinct_id is missing/)],
  ['the distinct id undefined', { distinct_id: 'undefined' }, row({ distinct_id: 'undefined' })],
  ['the distinct id 0 as text', { distinct_id: '0' }, row({ distinct_id: '0' })],
  ['the distinct id 0 as a number', { distinct_id: 0 }, row({ distinct_id: '0' })],
  ['the zero uuid as a distinct id', { distinct_id: NIL }, row({ distinct_id: NIL })],
  ['a distinct id that is an object', { distinct_id: { a: 1 } }, row({ distinct_id: '{"a":1}' })],
  [
    'a distinct id of 10 KB',
    { distinct_id: 'x'.repeat(10 * KIB) },
    row({ distinct_id: 'x'.repeat(200) }, CUT),
  ],
  [
    'a distinct id of 10 KB of emoji',
    { distinct_id: '🦔'.repeat(2_560) },
    row({ distinct_id: '🦔'.repeat(200) }, CUT),
  ],
  ['a distinct id of quotes', { distinct_id: `'"\\;--` }, row({ distinct_id: `'"\\;--` })],
  ['a uuid that is none', { uuid: 'node-next-1' }, refused('invalid_uuid', /uuid "node-next-1".*not a UUID/)],
  ['the nil uuid', { uuid: NIL }, row({ uuid: NIL })],
  [
    'an event to be sent again',
    { ...repeated, properties: { time: 1 } },
    row({}, { properties: { time: 1 } }),
  ],
  [
    'the same uuid with another body',
    { ...repeated, properties: { time: 2 } },
    { kind: 'dropped', reason: 'duplicate' },
  ],
  ['an alias to itself', { event: '$create_alias', distinct_id: 'ada', properties: { alias: 'ada' } }, row()],
];

const NAMES: readonly Payload[] = [
  ['no event name', { event: undefined }, refused('missing_event_name', /"event" is missing/)],
  ['an empty event name', { event: '' }, refused('missing_event_name', /"event" is missing/)],
  ['an event name that is a number', { event: 5 }, refused('invalid_event_name', /"event" is not a string/)],
  [
    'an event name that is an object',
    { event: {} },
    refused('invalid_event_name', /"event" is not a string/),
  ],
  ['an event name of 100 KB', { event: 'x'.repeat(100 * KIB) }, row({ event: 'x'.repeat(200) })],
  ['NUL and a lone surrogate in a name', { event: 'a\0\udc00b' }, row({ event: 'a\ufffd\ufffdb' })],
  [
    'an exception',
    { event: '$exception', properties: { $exception_list: [{}] } },
    row({ event: '$exception' }),
  ],
  [
    'a generation',
    { event: '$ai_generation', properties: { $ai_input: [] } },
    row({ event: '$ai_generation' }),
  ],
  ['a recording', { event: '$snapshot' }, { kind: 'discarded', reason: 'session_recording' }],
  ['performance', { event: '$performance_event' }, { kind: 'discarded', reason: 'performance_event' }],
  ['a heatmap', { event: '$$heatmap' }, { kind: 'discarded', reason: 'heatmap' }],
  [
    "a client's warning",
    { event: '$$client_ingestion_warning', properties: { $$client_ingestion_warning_message: 'too fast' } },
    { kind: 'dropped', reason: 'client_ingestion_warning', warning: 'client_ingestion_warning' },
  ],
  [
    'a cookieless event',
    { distinct_id: '$posthog_cookieless', properties: { $cookieless_mode: true } },
    { kind: 'dropped', reason: 'cookieless_not_supported', warning: 'cookieless_not_supported' },
  ],
  [
    'a cookieless mode that is no boolean',
    { properties: { $cookieless_mode: 'yes' } },
    refused('invalid_cookieless_mode', /"\$cookieless_mode" is not a boolean/),
  ],
];

const VALUES: readonly Payload[] = [
  [
    'NUL and lone surrogates in keys and values',
    { properties: { 'a\0': 'b\0', '\ud800': ['\udc00', { 'c\0': 1 }] } },
    properties({ 'a\ufffd': 'b\ufffd', '\ufffd': ['\ufffd', { 'c\ufffd': 1 }] }),
  ],
  [
    'NUL and lone surrogates in $set',
    { properties: { $set: { 'a\0': 'b\0\udc00' } } },
    person({ 'a\ufffd': 'b\ufffd\ufffd' }),
  ],
  ['NUL as a byte', '"properties":{"a":"\0"}', refused('malformed_body', /not JSON/)],
  [
    'bytes that are no UTF-8',
    Buffer.concat([
      text(`{"api_key":"${TOKEN}","uuid":"0199bbbb-0000-7000-8000-0000000000fe","event":"e`),
      Buffer.of(0xff),
      text('","distinct_id":"x"}'),
    ]),
    row({ uuid: '0199bbbb-0000-7000-8000-0000000000fe', event: 'e\ufffd' }),
  ],
  [
    'the key __proto__',
    '"properties":{"__proto__":{"a":1},"constructor":{"prototype":1},"hasOwnProperty":2}',
    properties(JSON.parse('{"__proto__":{"a":1},"constructor":{"prototype":1},"hasOwnProperty":2}')),
  ],
  [
    'the key __proto__ in $set and $set_once',
    '"properties":{"$set":{"__proto__":{"a":1},"constructor":2},"$set_once":{"__proto__":3,"toString":4}}',
    person(JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":4}')),
  ],
  [
    'the key __proto__ beside the event',
    '"__proto__":{"a":1},"$set":{"__proto__":5}',
    person(JSON.parse('{"__proto__":5}')),
  ],
  [
    'an empty key and a key of 100 KB',
    { properties: { '': 1, ['k'.repeat(100 * KIB)]: 2 } },
    properties({ '': 1 }),
  ],
  ['nesting 5,000 deep', `"properties":${nested(5_000)}`, refused('too_deep', /nested more than 100 deep/)],
  ['a million brackets', text('['.repeat(1_000_000)), refused('too_deep', /nested more than 100 deep/)],
  ['nesting 98 deep in $set', `"properties":{"$set":${nested(98)}}`, person({ a: JSON.parse(nested(97)) })],
  ['200,000 keys', { properties: keys(200_000) }, refused('too_many_keys', /more than 50000 keys/)],
  ['49,000 keys', { properties: keys(49_000) }, properties({ k0: 0, k48999: 0 })],
  [
    '1e400',
    '"properties":{"n":1e400,"$set":{"m":-1e400}}',
    row({}, { properties: { n: null }, person: { m: null } }),
  ],
  [
    'an infinite $set, which is null',
    '"distinct_id":"infinite","properties":{"$set":{"n":1e400,"m":[-1e400]}}',
    person({ n: null, m: [null] }),
  ],
  [
    '$set_once where there is null',
    { distinct_id: 'infinite', properties: { $set_once: { n: 5, m: 6 } } },
    person({ n: 5, m: [null] }),
  ],
  ['NaN', '"properties":{"n":NaN}', refused('malformed_body', /not JSON/)],
  ['2^53 + 1', '"properties":{"n":9007199254740993}', properties({ n: 2 ** 53 })],
  ['1e308 and 5e-324', '"properties":{"$set":{"n":1e308,"m":5e-324}}', person({ n: 1e308, m: 5e-324 })],
  [
    'properties that are an array',
    { properties: [1] },
    refused('invalid_properties', /"properties" is not an object/),
  ],
  ['properties null', { properties: null }, refused('invalid_properties', /"properties" is not an object/)],
  ['$set that is a text', { properties: { $set: 'a' } }, properties({ $set: 'a' })],
  ['$set that is an array', { properties: { $set: [1] }, $set_once: [2] }, properties({ $set: [1] })],
  ['$set null, $unset a number', { properties: { $set: null, $unset: 5 } }, properties({ $unset: 5 })],
  ['$unset of numbers', { properties: { $set: { a: 1 }, $unset: [1, null, 'b'] } }, person({ a: 1 })],
  ['$groups that is a number', { properties: { $groups: 5, $group_0: {} } }, properties({ $groups: 5 })],
  [
    '$elements of anything',
    { properties: { $elements: [1, null, { tag_name: 5, attr__class: {} }] } },
    row(),
  ],
  ['$ip that is a number', { properties: { $ip: 5 } }, properties({ $ip: 5 })],
  [
    'an invalid $process_person_profile',
    { properties: { $process_person_profile: 'false', $set: { a: 1 } } },
    row({ person_mode: 'full' }, { person: { a: 1 }, warning: 'invalid_process_person_profile' }),
  ],
];

const SIZES: readonly Payload[] = [
  ['properties just under the limit', { properties: { blob: noise(995_000) } }, row()],
  [
    'properties just over it',
    { properties: { blob: noise(996_000) } },
    refused('event_too_large', /event 0 \("payload", uuid .* takes 99\d{4} bytes.*more than 1000000/, 413),
  ],
  [
    '$set that is too large twice in a row',
    { properties: { $set: { blob: noise(550_000) } } },
    { kind: 'dead_letter', reason: 'row_too_large', warning: 'message_size_too_large' },
  ],
  [
    '$set of quotes, each of them four bytes',
    { properties: { $set: { blob: '"'.repeat(200_000) } } },
    { kind: 'dead_letter', reason: 'row_too_large', warning: 'message_size_too_large' },
  ],
  [
    'numbers that are longer in the row',
    `"properties":{"n":[${Array.from({ length: 49_900 }, () => '1e20').join()}]}`,
    { kind: 'dead_letter', reason: 'row_too_large', warning: 'message_size_too_large' },
  ],
  ['a person of 480 KB', { properties: { $set: { blob: noise(480_000) } } }, row()],
  [
    "a person over Postgres' limit",
    { distinct_id: 'large', properties: { $set: { blob: noise(660_000) } } },
    row({}, { person: {}, warning: 'person_properties_size_violation' }),
  ],
  [
    'the next event of the same person',
    { distinct_id: 'large', properties: { $set: { a: 1 } } },
    person({ a: 1 }),
  ],
  [
    'the same person, once it exists, over the limit: no second warning within the hour',
    { distinct_id: 'large', properties: { $set: { blob: noise(660_000) } } },
    person({ a: 1 }),
  ],
  // Of 130,000 bytes in Postgres, and of 910,000 as JSON in JSON.
  ...[1, 2].map(
    (n): Payload => [
      `a person that grows over the limit of an output topic (${n})`,
      { distinct_id: 'grows', properties: { $set: { [`blob ${n}`]: '\x01'.repeat(130_000) } } },
      {
        kind: 'dead_letter',
        reason: 'row_too_large',
        // The second event of the id would have the first one's warning again: once an hour is enough.
        warning: n === 1 ? 'message_size_too_large' : 'person_properties_size_violation',
      },
    ],
  ),
];

const TIMES: readonly Payload[] = [
  ['the time 1970', { timestamp: '1970-01-01T00:00:00Z' }, row({ timestamp: '1970-01-01 00:00:00.000000' })],
  ['the time 1900', { timestamp: '1900-01-01T00:00:00Z' }, row({ timestamp: '1900-01-01 00:00:00.000000' })],
  ['the time 1899', { timestamp: '1899-06-01T12:00:00Z' }, row({ timestamp: '1899-06-01 12:00:00.000000' })],
  ['the year 1', { timestamp: '0001-06-01T12:00:00Z' }, row({ timestamp: '0001-06-01 12:00:00.000000' })],
  // ClickHouse reads a year 0 as 1970.
  ['the year 0', { timestamp: '0000-06-01T12:00:00Z' }, row({ timestamp: '1970-01-01 00:00:00.000000' })],
  ['the year -1', { timestamp: '-0001-01-01T00:00:00Z' }, row({ timestamp: nearNow })],
  ['the year 2300', { timestamp: '2300-01-01T00:00:00Z' }, row({ timestamp: nearNow })],
  ['the year 9999', { timestamp: '9999-12-31T23:59:59Z' }, row({ timestamp: nearNow })],
  ['the year 10000', { timestamp: '+010000-01-01T00:00:00Z' }, row({ timestamp: nearNow })],
  ['a time in 30 hours', { timestamp: inHours(30) }, row({ timestamp: nearNow })],
  ['a time in 20 hours', { timestamp: inHours(20) }, row({ timestamp: farFromNow })],
  ['a time in words', { timestamp: 'yesterday' }, row({ timestamp: nearNow })],
  ['a day that is none', { timestamp: '2026-02-30T00:00:00Z' }, row({ timestamp: nearNow })],
  ['a time that is an object', { timestamp: {} }, row({ timestamp: nearNow })],
  ['a time of 1e400', '"timestamp":1e400', row({ timestamp: nearNow })],
  [
    'a sent_at long ago',
    { timestamp: inHours(0), sent_at: '1971-01-01T00:00:00Z' },
    row({ timestamp: nearNow }),
  ],
  ['a sent_at that is none', { timestamp: inHours(0), sent_at: 'now' }, row({ timestamp: nearNow })],
  ['an endless offset', { offset: 1e300 }, row({ timestamp: '1970-01-01 00:00:00.000000' })],
];

const BODIES: readonly Payload[] = [
  ['an empty body', text(''), refused('empty_body', /the body is empty/)],
  ['no JSON', text('hello'), refused('malformed_body', /not JSON/)],
  ['a text', text('"hello"'), refused('malformed_body', /neither an event/)],
  [
    'gzip of garbage',
    Buffer.concat([Buffer.of(0x1f, 0x8b), randomBytes(100)]),
    refused('malformed_body', /not valid gzip/),
  ],
  ['gzip of no JSON', gzipSync('hello'), refused('malformed_body', /not JSON/)],
  [
    'gzip that ends early',
    gzipSync(noise(1_000)).subarray(0, 200),
    refused('malformed_body', /not valid gzip/),
  ],
  ['gzip inside gzip', gzipSync(gzipSync('{}')), refused('malformed_body', /gzip inside gzip/)],
  [
    'a gzip bomb',
    gzipSync(Buffer.alloc(64 * KIB * KIB)),
    refused('body_too_large', /larger than 20971520 bytes/, 413),
  ],
  ['a batch of nothing', batch(), refused('empty_batch', /holds no event/)],
  [
    'a batch with one bad event',
    batch({ event: 'a', distinct_id: 'x' }, { event: 'b' }, { event: 'c', distinct_id: 'x' }),
    refused('missing_distinct_id', /event 1 \("b"\): distinct_id is missing/),
  ],
  [
    'a batch of 20,001 events',
    batch(...Array.from({ length: 20_001 }, () => ({}))),
    refused('too_many_events', /holds 20001 events, more than 20000/, 413),
  ],
  ['no token', { api_key: undefined }, refused('missing_token', /the token is missing/, 401)],
  [
    'an unknown token',
    { api_key: 'phc_nobody' },
    refused('unknown_token', /no project has the token "phc_nobody"/, 401),
  ],
  ['NUL in a token', { api_key: 'phc\0' }, refused('invalid_token', /not valid: /, 401)],
];

export const PAYLOADS: readonly Payload[] = [...IDS, ...NAMES, ...VALUES, ...SIZES, ...TIMES, ...BODIES];
