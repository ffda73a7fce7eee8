/** What inputs are made from: bodies that SDKs were seen to send, and the same events in every other dialect. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, inflateSync } from 'node:zlib';
import { SEGMENT_PATHS } from '../../src/capture/segment-table.ts';
import { DEV_PROJECT } from '../../src/storage/postgres/projects.ts';
import { isMembers, type Members, type Value } from './mutate-json.ts';

export type Dialect = 'v0' | 'v1' | 'segment';

export interface Body {
  readonly name: string;
  readonly dialect: Dialect;
  /** Where it may be posted to. */
  readonly paths: readonly string[];
  /** As JSON text: each input gets a copy of its own. */
  readonly json: string;
  readonly headers: Readonly<Record<string, string>>;
}

const { token: TOKEN } = DEV_PROJECT;
const FIXTURES = join(import.meta.dirname, '..', '..', 'test', 'fixtures');

export const V0_PATHS = ['/batch', '/e', '/i/v0/e', '/i/v0/ai/batch', '/capture', '/track', '/engage'];
export const V1_PATH = '/i/v1/analytics/events';
export const BEARER = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
const BASIC = {
  authorization: `Basic ${Buffer.from(`${TOKEN}:`).toString('base64')}`,
  'content-type': 'application/json',
};
const SEGMENT_BATCHES = Object.keys(SEGMENT_PATHS).filter((path) => SEGMENT_PATHS[path] === 'batch');

interface Recorded {
  readonly sdk: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function readRecorded(): readonly Recorded[] {
  const lines = readFileSync(join(FIXTURES, 'recorded-requests.jsonl'), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

/** Frames that the reference implementation has made, of events without a uuid. */
export const ZSTD_BODIES: readonly Buffer[] = readZstd();

function readZstd(): readonly Buffer[] {
  const frames: readonly string[] = JSON.parse(readFileSync(join(FIXTURES, 'zstd-bodies.json'), 'utf8'));
  return frames.map((frame) => Buffer.from(frame, 'base64'));
}

/** Of the connection, or of the body's size and wrapping, which are decided anew. */
const LEFT_OUT = /^(host|connection|content-length|content-encoding|content-type|accept-encoding)$/;

function recordedBodies(): readonly Body[] {
  return readRecorded().flatMap(({ sdk, method, url, headers, body }): Body[] => {
    const path = url.replace(/\?.*/, '').replace(/\/$/, '');
    const dialect = dialectOf(path);
    if (method !== 'POST' || dialect === undefined) return [];
    const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !LEFT_OUT.test(name)));
    const paths = dialect === 'v0' ? V0_PATHS : dialect === 'segment' ? SEGMENT_BATCHES : [path];
    const json = JSON.stringify(JSON.parse(unwrapped(Buffer.from(body, 'base64'), headers).toString()));
    const type = dialect === 'v0' ? {} : { 'content-type': 'application/json' };
    return [{ name: sdk, dialect, paths, json, headers: { ...kept, ...type } }];
  });
}

function dialectOf(path: string): Dialect | undefined {
  if (V0_PATHS.includes(path)) return 'v0';
  if (path === V1_PATH) return 'v1';
  return SEGMENT_PATHS[path] === undefined ? undefined : 'segment';
}

function unwrapped(bytes: Buffer, headers: Readonly<Record<string, string>>): Buffer {
  const isForm = headers['content-type'] === 'application/x-www-form-urlencoded';
  const inner = isForm
    ? Buffer.from(new URLSearchParams(bytes.toString()).get('data') ?? '', 'base64')
    : bytes;
  if (inner[0] === 0x1f) return gunzipSync(inner);
  return headers['content-encoding'] === 'deflate' ? inflateSync(inner) : inner;
}

/** The first event of each v0 body by itself, and all of them as an array. */
function otherShapes({ name, dialect, paths, json, headers }: Body): readonly Body[] {
  const body: Value = JSON.parse(json);
  const events = isMembers(body) && Array.isArray(body['batch']) ? body['batch'].filter(isMembers) : [];
  const [first] = events;
  if (first === undefined || dialect !== 'v0') return [];
  const shape = (what: string, value: Value): Body => ({
    name: `${name}, ${what}`,
    dialect,
    paths,
    json: JSON.stringify(value),
    headers,
  });
  return [
    shape('one event', { api_key: TOKEN, ...first }),
    shape(
      'an array',
      events.map((event) => ({ ...event, token: TOKEN })),
    ),
  ];
}

/** Each message of Segment's batches, at the path of its type. */
function messages({ name, json }: Body): readonly Body[] {
  const body: Value = JSON.parse(json);
  const sent = isMembers(body) && Array.isArray(body['batch']) ? body['batch'].filter(isMembers) : [];
  return sent.map((message) => ({
    name: `${name}, one message`,
    dialect: 'segment',
    paths: Object.keys(SEGMENT_PATHS).filter((path) => SEGMENT_PATHS[path] === message['type']),
    json: JSON.stringify({ ...message, writeKey: TOKEN }),
    headers: BASIC,
  }));
}

/** What the recordings do not have. */
const MORE: readonly Members[] = [
  {
    event: '$create_alias',
    distinct_id: 'ann',
    properties: { alias: 'ann@example.com', distinct_id: 'ann' },
  },
  { event: '$merge_dangerously', distinct_id: 'ann', properties: { alias: 'bob' } },
  {
    event: '$identify',
    distinct_id: 'ann',
    properties: { $anon_distinct_id: 'anon', $set: { plan: 'pro' }, $set_once: { since: 1 } },
  },
  {
    event: '$groupidentify',
    distinct_id: 'ann',
    properties: { $group_type: 'company', $group_key: 'acme', $group_set: { size: 7 } },
  },
  { event: 'grouped', distinct_id: 'ann', properties: { $groups: { company: 'acme', team: 'x' } } },
  { event: 'private', distinct_id: 'ann', properties: { $process_person_profile: false } },
  {
    event: '$identify',
    distinct_id: 'ann',
    properties: { $process_person_profile: false, $anon_distinct_id: 'anon' },
  },
  { event: 'cookieless', distinct_id: '$posthog_cookieless', properties: { $cookieless_mode: true } },
  {
    event: '$$client_ingestion_warning',
    distinct_id: 'ann',
    properties: { $$client_ingestion_warning_message: 'too fast' },
  },
  { event: '$snapshot', distinct_id: 'ann', properties: { $snapshot_data: [] } },
  { event: '$performance_event', distinct_id: 'ann', properties: {} },
  { event: '$$heatmap', distinct_id: 'ann', properties: { $heatmap_data: {} } },
  {
    event: '$autocapture',
    distinct_id: 'ann',
    properties: { $elements: [{ tag_name: 'a', $el_text: 'x', attr__class: 'b c' }] },
  },
  {
    event: '$unset',
    distinct_id: 'ann',
    properties: { $unset: ['plan'] },
    $set: { a: 1 },
    $set_once: { b: 2 },
    offset: 60_000,
  },
];

/** Each input puts its own in its place. */
const PLACEHOLDER = '01980000-0000-7000-8000-000000000000';

function more(): readonly Body[] {
  const timestamp = '2026-11-22T10:00:00.000Z';
  const withUuid = MORE.map((event): Members => ({ ...event, uuid: PLACEHOLDER, timestamp }));
  return [
    ...withUuid.map(
      (event): Body => ({
        name: String(event['event']),
        dialect: 'v0',
        paths: V0_PATHS,
        json: JSON.stringify({ api_key: TOKEN, ...event }),
        headers: {},
      }),
    ),
    {
      name: 'many kinds',
      dialect: 'v0',
      paths: V0_PATHS,
      json: JSON.stringify({ api_key: TOKEN, batch: withUuid, sent_at: '2026-11-22T10:00:01.000Z' }),
      headers: {},
    },
    {
      name: 'many kinds',
      dialect: 'v1',
      paths: [V1_PATH],
      json: JSON.stringify({
        created_at: '2026-11-22T10:00:01.000Z',
        batch: withUuid.map((event) => ({
          ...event,
          session_id: 's',
          window_id: 'w',
          options: { process_person_profile: true },
        })),
      }),
      headers: {
        ...BEARER,
        'posthog-sdk-info': 'fuzz/1',
        'posthog-request-timestamp': '2026-11-22T10:00:01.000Z',
      },
    },
  ];
}

const recorded = recordedBodies();

export const BODIES: readonly Body[] = [
  ...recorded,
  ...recorded.flatMap(otherShapes),
  ...recorded.filter(({ dialect }) => dialect === 'segment').flatMap(messages),
  ...more(),
];
