/** Requests as the documentation shows them. A test sends each one. */
import type { Json } from '../../event/json.ts';

export interface Example {
  readonly title: string;
  readonly method: 'GET' | 'POST';
  /** Of the table of routes, `:token` and `*` filled in, and a query. */
  readonly target: string;
  /** As the table of routes has it. */
  readonly route: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as it is, anything else as JSON. */
  readonly body?: Json;
  readonly isGzipped?: true;
  /** JSON, or the beginning of a text. */
  readonly answer: Json;
  /** That are in the log afterwards. */
  readonly events: number;
}

const TOKEN = 'phc_tributary_dev';
const TAKEN = { status: 1 };
const UUID = '01980000-0000-7000-8000-000000000001';

const base64 = (value: Json): string => Buffer.from(JSON.stringify(value)).toString('base64');

const SIGNED_UP: Json = {
  api_key: TOKEN,
  event: 'signed up',
  distinct_id: 'ann',
  properties: { plan: 'pro', $set: { email: 'ann@example.com' } },
  timestamp: '2026-11-22T11:59:00.000Z',
};

export const EXAMPLES: readonly Example[] = [
  {
    title: 'One event, with something about its person',
    method: 'POST',
    target: '/i/v0/e',
    route: '/i/v0/e',
    body: SIGNED_UP,
    answer: TAKEN,
    events: 1,
  },
  {
    title: 'A batch. `sent_at` is by the same clock as the timestamps',
    method: 'POST',
    target: '/batch/',
    route: '/batch',
    body: {
      api_key: TOKEN,
      sent_at: '2026-11-22T11:59:59.000Z',
      batch: [
        { event: 'viewed', distinct_id: 'ann', timestamp: '2026-11-22T11:59:10.000Z', uuid: UUID },
        { event: 'bought', distinct_id: 'ann', timestamp: '2026-11-22T11:59:20.000Z' },
      ],
    },
    answer: TAKEN,
    events: 2,
  },
  {
    title: 'Events from long ago: `historical_migration` leaves their times alone, and holds none of them',
    method: 'POST',
    target: '/batch/',
    route: '/batch',
    body: {
      api_key: TOKEN,
      historical_migration: true,
      batch: [{ event: 'bought', distinct_id: 'ann', timestamp: '2021-03-04T05:06:07Z' }],
    },
    answer: TAKEN,
    events: 1,
  },
  {
    title: 'The visitor `anon-1` is Ann',
    method: 'POST',
    target: '/i/v0/e',
    route: '/i/v0/e',
    body: {
      api_key: TOKEN,
      event: '$identify',
      distinct_id: 'ann',
      properties: { $anon_distinct_id: 'anon-1', $set: { name: 'Ann' } },
    },
    answer: TAKEN,
    events: 1,
  },
  {
    title: 'An array of events, each with its token',
    method: 'POST',
    target: '/e/',
    route: '/e',
    body: [SIGNED_UP, { ...SIGNED_UP, event: 'logged in' }],
    answer: TAKEN,
    events: 2,
  },
  {
    title: 'gzip. It is told from the bytes, too, where nobody names it',
    method: 'POST',
    target: '/batch/',
    route: '/batch',
    headers: { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' },
    body: { api_key: TOKEN, batch: [{ event: 'viewed', distinct_id: 'ann' }] },
    isGzipped: true,
    answer: TAKEN,
    events: 1,
  },
  {
    title: 'A form, as beacons of browsers send it',
    method: 'POST',
    target: '/e/?compression=base64',
    route: '/e',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: `data=${encodeURIComponent(base64(SIGNED_UP))}`,
    answer: TAKEN,
    events: 1,
  },
  {
    title: 'A pixel: base64 in the query',
    method: 'GET',
    target: `/e/?data=${encodeURIComponent(base64({ api_key: TOKEN, event: 'opened', distinct_id: 'ann' }))}`,
    route: '/e',
    answer: TAKEN,
    events: 1,
  },
  {
    title: 'Person properties alone',
    method: 'POST',
    target: '/engage/',
    route: '/engage',
    body: { api_key: TOKEN, distinct_id: 'ann', $set: { plan: 'free' } },
    answer: TAKEN,
    events: 1,
  },
  {
    title: 'Capture V1: an answer for each event',
    method: 'POST',
    target: '/i/v1/analytics/events',
    route: '/i/v1/analytics/events',
    headers: {
      Authorization: `Bearer ${TOKEN}`,
      'Content-Type': 'application/json',
      'PostHog-Sdk-Info': 'my-client/1.0.0',
      'PostHog-Attempt': '1',
      'PostHog-Request-Id': '01980000-0000-7000-8000-0000000000aa',
      'PostHog-Request-Timestamp': '2026-11-22T11:59:59.000Z',
    },
    body: {
      created_at: '2026-11-22T11:59:59.000Z',
      batch: [
        {
          event: 'viewed',
          uuid: UUID,
          distinct_id: 'ann',
          timestamp: '2026-11-22T11:59:10.000Z',
          options: { process_person_profile: false },
          properties: {},
        },
      ],
    },
    answer: { results: { [UUID]: { result: 'ok' } } },
    events: 1,
  },
  {
    title: "Segment: the project's token is the write key",
    method: 'POST',
    target: '/v1/track',
    route: '/v1/track',
    headers: { Authorization: `Basic ${Buffer.from(`${TOKEN}:`).toString('base64')}` },
    body: {
      type: 'track',
      messageId: 'ajs-next-1',
      userId: 'ann',
      anonymousId: 'anon-1',
      event: 'Order Completed',
      properties: { total: 9.5 },
    },
    answer: { success: true },
    events: 1,
  },
  {
    title: "A batch of Segment's messages",
    method: 'POST',
    target: '/v1/batch',
    route: '/v1/batch',
    body: {
      writeKey: TOKEN,
      batch: [
        { type: 'identify', messageId: 'm-1', userId: 'ann', anonymousId: 'anon-1', traits: { plan: 'pro' } },
        {
          type: 'page',
          messageId: 'm-2',
          userId: 'ann',
          name: 'Home',
          properties: { url: 'https://example.com/' },
        },
      ],
    },
    answer: { success: true },
    events: 2,
  },
  {
    title: 'A session recording: taken, and thrown away',
    method: 'POST',
    target: '/s/',
    route: '/s',
    body: [{ event: '$snapshot', properties: { token: TOKEN, $session_id: 's-1', $snapshot_data: [] } }],
    answer: TAKEN,
    events: 0,
  },
  {
    title: 'What posthog-js asks for first',
    method: 'GET',
    target: `/array/${TOKEN}/config`,
    route: '/array/:token/config',
    answer: { supportedCompression: ['gzip-js'], hasFeatureFlags: false, autocapture_opt_out: false },
    events: 0,
  },
  {
    title: 'Feature flags',
    method: 'POST',
    target: '/flags/?v=2',
    route: '/flags',
    body: { token: TOKEN, distinct_id: 'ann' },
    answer: { flags: {}, featureFlags: {}, featureFlagPayloads: {}, errorsWhileComputingFlags: false },
    events: 0,
  },
  {
    title: 'Surveys',
    method: 'GET',
    target: `/api/surveys/?token=${TOKEN}`,
    route: '/api/surveys',
    answer: { surveys: [], survey_config: null },
    events: 0,
  },
  {
    title: 'The script of the HTML snippet',
    method: 'GET',
    target: '/static/array.js',
    route: '/static/*',
    answer: '!function()',
    events: 0,
  },
];
