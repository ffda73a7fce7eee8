import { readFileSync } from 'node:fs';
import { gunzipSync, inflateSync } from 'node:zlib';
import t from 'tap';
import { capture, TOKEN } from './harness.ts';

interface Recorded {
  readonly sdk: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Base64 of the raw bytes. */
  readonly body: string;
}

const FILE = new URL('../fixtures/recorded-requests.jsonl', import.meta.url);
const recorded: readonly Recorded[] = readFileSync(FILE, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

const nameOf = ({ method, url }: Recorded) => `${method} ${url.replace(/\?.*/, '')}`;

/** Forbidden to fetch, or of the browser that is not here. */
const LEFT_OUT = /^(sec-|accept-encoding$|origin$|referer$|access-control-|user-agent$)/;

const EVENT_PATHS = /^\/(e\/|i\/v0\/|i\/v1\/|batch\/|v1\/batch)/;

/** How many events a body holds, found out without the product's help. */
function eventsIn({ headers, body }: Recorded): number {
  let bytes = Buffer.from(body, 'base64');
  if (headers['content-type'] === 'application/x-www-form-urlencoded') {
    bytes = Buffer.from(new URLSearchParams(bytes.toString()).get('data') ?? '', 'base64');
  }
  if (bytes[0] === 0x1f) bytes = gunzipSync(bytes);
  if (headers['content-encoding'] === 'deflate') bytes = inflateSync(bytes);
  return JSON.parse(bytes.toString()).batch.length;
}

t.test('every request that an SDK was seen to send is answered, and its events are on the log', async (t) => {
  const { url, log } = await capture(t);
  let events = 0;
  for (const request of recorded) {
    const name = nameOf(request);
    const sent = Object.entries(request.headers).filter(([header]) => !LEFT_OUT.test(header));
    const body = Buffer.from(request.body, 'base64');
    const before = log.events().length;
    const reply = await fetch(url + request.url, {
      method: request.method,
      headers: Object.fromEntries(sent),
      ...(request.method === 'POST' ? { body } : {}),
    });
    const text = await reply.text();
    t.equal(reply.status, 200, `${request.sdk}: ${name}: ${text}`);
    const isEvents = request.method === 'POST' && EVENT_PATHS.test(request.url);
    const expected = isEvents ? eventsIn(request) : 0;
    t.equal(log.events().length - before, expected, `${name} holds ${expected} events`);
    events += expected;
  }
  t.comment(`${recorded.length} requests, ${events} events`);
  t.ok(events > 100);
  for (const captured of log.events()) {
    t.equal(captured.token, TOKEN);
    const inner = JSON.parse(captured.data);
    t.type(inner.properties.$lib, 'string');
    t.equal(inner.event, captured.event);
    t.equal(inner.distinct_id ?? inner.properties.distinct_id, captured.distinct_id);
  }
});
