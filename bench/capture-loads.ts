/** What the client of the capture benchmarks posts, byte for byte. */
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { clientEvent, TOKEN } from './events.ts';

/** Single events as plain JSON; batches with gzip; what posthog-js was seen to send. */
export type LoadName = 'events' | 'batches' | 'posthog-js';

export const EVENTS_PER_BATCH = 20;

const DIFFERENT_EVENTS = 1_000;
const DIFFERENT_BATCHES = 100;
const RECORDED = new URL('../test/fixtures/recorded-requests.jsonl', import.meta.url);

/** Requests that differ, to be sent in turn. */
export function requestsOf(load: LoadName): readonly Buffer[] {
  switch (load) {
    case 'events':
      return Array.from({ length: DIFFERENT_EVENTS }, (_, index) =>
        post('/i/v0/e', { 'Content-Type': 'application/json' }, Buffer.from(eventOf(index))),
      );
    case 'batches':
      return Array.from({ length: DIFFERENT_BATCHES }, (_, index) => {
        const headers = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' };
        return post('/batch', headers, gzipSync(batchOf(index * EVENTS_PER_BATCH)));
      });
    case 'posthog-js':
      return [post('/e/', { 'Content-Type': 'text/plain' }, recordedPageview())];
  }
}

const eventOf = (index: number): string => clientEvent({ distinctId: `person-${index}` });

function batchOf(first: number): string {
  const events = Array.from({ length: EVENTS_PER_BATCH }, (_, index) => eventOf(first + index));
  return `{"api_key":"${TOKEN}","batch":[${events.join(',')}]}`;
}

interface Recorded {
  readonly sdk: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Base64. */
  readonly body: string;
}

/** A pageview in a batch of its own: gzip that no header tells, distinct id and token among the properties. */
function recordedPageview(): Buffer {
  const lines = readFileSync(RECORDED, 'utf8').split('\n');
  for (const line of lines) {
    if (line === '') continue;
    const { sdk, headers, body }: Recorded = JSON.parse(line);
    if (!sdk.startsWith('posthog-js') || headers['content-type'] !== 'text/plain') continue;
    const bytes = Buffer.from(body, 'base64');
    if (gunzipSync(bytes).includes('"event":"$pageview"')) return bytes;
  }
  throw new Error(`${RECORDED.pathname} holds no pageview of posthog-js`);
}

function post(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Buffer {
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'User-Agent: tributary-bench',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${body.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
}
