/**
 * Good requests among bad ones: `BAD_PERCENT` of them are malformed, too large, dropped for what they say, or given up
 * by their client. Slow clients are not among them, because k6 sends a body at once: `npm run load` adds them.
 */
import http from 'k6/http';
import { Rate } from 'k6/metrics';
import type { Options } from 'k6/options';
import { gzipStored } from './gzip.ts';
import {
  begin,
  DURATION,
  eventUuid,
  HOST,
  iteration,
  loadOptions,
  PERSONS,
  post,
  type Run,
  SHARE_BAD,
  TOKEN,
} from './lib.ts';

export { summarize as handleSummary } from './lib.ts';

const LARGE_EVENT_CHARS = 1_200_000;
const LARGE_BODY_CHARS = 21 * 1024 * 1024;
const LARGE_BODY_EVERY_SECONDS = 3;
const ABORTED_CHARS = 300_000;
const ABORT_MS_MAX = 8;

/** Of the bad ones: whether the answer was the one that it must be. */
const asExpected = new Rate('bad_answered_as_expected');

const shared = loadOptions(0.3);

export const options: Options = {
  ...shared,
  scenarios: {
    ...shared.scenarios,
    largeBodies: {
      executor: 'constant-arrival-rate',
      exec: 'largeBody',
      rate: 1,
      timeUnit: `${LARGE_BODY_EVERY_SECONDS}s`,
      duration: DURATION,
      preAllocatedVUs: 1,
    },
  },
  thresholds: { ...shared.thresholds, bad_answered_as_expected: ['rate==1'] },
};

export const setup = (): Run => begin('bad-traffic');

/** Step 0 is good, or answered 200 at least; step 1 has to be refused; step 2 is given up by its client. */
export default function (run: Run): void {
  if (Math.random() >= SHARE_BAD) send(run, { step: 0 });
  else if (Math.random() < 1 / (KINDS.length + 1)) {
    send(run, { step: 2, isBad: true, text: ABORTED, timeoutMs: 1 + Math.random() * ABORT_MS_MAX });
  } else {
    const kind = KINDS[Math.floor(Math.random() * KINDS.length)] ?? {};
    const expected = kind.status ?? 200;
    asExpected.add(send(run, { step: expected === 200 ? 0 : 1, isBad: true, ...kind }) === expected);
  }
}

/** More than a body may have. It is not read, and its connection ends. */
export function largeBody(): void {
  const { status } = http.post(`${HOST}/batch`, largeText(), {
    headers: { 'content-type': 'application/json' },
  });
  asExpected.add(status === 413);
}

let large = '';
function largeText(): string {
  if (large === '') large = 'x'.repeat(LARGE_BODY_CHARS);
  return large;
}

interface Kind {
  /** What it has to be answered. */
  readonly status?: number;
  readonly text?: string;
  readonly headers?: Record<string, string>;
  readonly change?: (event: Readonly<Record<string, unknown>>) => unknown;
  readonly spoil?: (body: string) => string | ArrayBuffer;
}

const without = (name: string) => (event: Readonly<Record<string, unknown>>) => ({
  ...event,
  [name]: undefined,
});

const KINDS: readonly Kind[] = [
  { status: 400, spoil: (body) => body.slice(0, -20) },
  { status: 400, spoil: (body) => `<p>${body}</p>` },
  { status: 400, spoil: (body) => `{"batch":[${body},${'['.repeat(5_000)}` },
  { status: 400, change: without('event') },
  { status: 401, change: without('api_key') },
  { status: 400, spoil: (body) => gzipStored(body).slice(0, -20) },
  { status: 413, text: 'x'.repeat(LARGE_EVENT_CHARS) },
  // A wrong label: taken, because the bytes say what they are.
  { headers: { 'content-encoding': 'br' } },
  // Taken with a 200, and dropped with a warning.
  { change: (event) => ({ ...event, event: '$$client_ingestion_warning' }) },
];

const ABORTED = 'x'.repeat(ABORTED_CHARS);

interface Sending extends Kind {
  readonly step: number;
  readonly isBad?: boolean;
  readonly timeoutMs?: number;
}

function send(
  run: Run,
  { step, isBad = false, text = '', headers, change, spoil, timeoutMs }: Sending,
): number {
  const distinct_id = `load-${run.id}-${iteration() % PERSONS}`;
  const timestamp = new Date().toISOString();
  const event = {
    api_key: TOKEN,
    uuid: eventUuid(run, step, 0),
    event: 'clicked',
    distinct_id,
    timestamp,
    sent_at: timestamp,
    properties: { $device_id: distinct_id, $lib: 'k6', text },
  };
  const body = JSON.stringify(change === undefined ? event : change(event));
  return post({
    run,
    step,
    path: '/i/v0/e',
    events: [event],
    body: spoil === undefined ? body : spoil(body),
    isBad,
    ...(headers === undefined ? {} : { headers }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}
