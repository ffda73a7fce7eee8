/** Every path, method, shape, encoding and announcement, one with each other, and the records that reach the log. */
import { Agent, request } from 'node:http';
import { deflateSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { ROUTES } from '../../src/capture/routes.ts';
import { zstdFrame } from '../support/zstd.ts';
import { capture, type RecordingLog, TOKEN } from './harness.ts';
import { type Sent, waysToSend } from './wrappings.ts';

const pathsOf = (...kinds: readonly string[]) =>
  ROUTES.filter(({ kind }) => kinds.includes(kind)).flatMap(({ path }) => [path, `${path}/`]);

/** What the properties of each event hold; half a character arrives as U+FFFD. */
const SENT_TEXT = '~~~>>> ÿ☃😀 \ud800+/= &';
const KEPT_TEXT = '~~~>>> ÿ☃😀 \ufffd+/= &';

interface Shape {
  readonly name: string;
  readonly events: number;
  /** The body with events that carry this mark. */
  readonly body: (mark: number) => unknown;
}

const named = (mark: number, i = 0, fields: object = {}) => ({
  event: `event ${i}`,
  distinct_id: 'ann',
  properties: { mark, text: SENT_TEXT },
  ...fields,
});
const inProperties = (mark: number, i: number) => ({
  event: `event ${i}`,
  properties: { mark, text: SENT_TEXT, token: TOKEN, distinct_id: 'ann' },
});

const SHAPES: readonly Shape[] = [
  { name: 'one event', events: 1, body: (mark) => named(mark, 0, { api_key: TOKEN }) },
  { name: 'one with dollar names', events: 1, body: (mark) => ({ ...inProperties(mark, 0), $token: TOKEN }) },
  { name: 'one with token and id in the properties', events: 1, body: (mark) => inProperties(mark, 0) },
  { name: 'an array', events: 2, body: (mark) => [named(mark, 0, { token: TOKEN }), named(mark, 1)] },
  { name: 'a batch', events: 2, body: (mark) => ({ api_key: TOKEN, batch: [named(mark), named(mark, 1)] }) },
  {
    name: 'a batch by token',
    events: 1,
    body: (mark) => ({ token: TOKEN, batch: [named(mark)], sent_at: 'now' }),
  },
  {
    name: 'a batch that has it all in the properties',
    events: 2,
    body: (mark) => ({ batch: [inProperties(mark, 0), inProperties(mark, 1)] }),
  },
];

const agent = new Agent({ keepAlive: true });
t.teardown(() => agent.destroy());

/** Status and text of the answer. Many times cheaper than `fetch`. */
function ask(url: string, path: string, { method, query, headers, body }: Sent): Promise<string> {
  const search = new URLSearchParams(query).toString();
  const address = url + path + (search === '' ? '' : `?${search}`);
  return new Promise((resolve, reject) => {
    const outgoing = request(address, { method, headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** What the last request has put on the log. */
function taken(log: RecordingLog) {
  const events = log.events();
  log.batches.length = 0;
  return events.map(({ event, distinct_id, token, data }) => {
    const { mark, text } = JSON.parse(data).properties;
    return { event, distinct_id, token, mark, text };
  });
}

t.setTimeout(600_000);

t.test('every way of sending an event to v0 puts that event on the log', async (t) => {
  const { url, log } = await capture(t);
  const paths = pathsOf('events', 'engage');
  t.equal(paths.length, 14);
  let mark = 0;
  let requests = 0;
  const wrong: string[] = [];
  for (const path of paths) {
    for (const shape of SHAPES) {
      for (const sent of waysToSend(JSON.stringify(shape.body(++mark)))) {
        const answer = await ask(url, path, sent);
        requests++;
        const expected = Array.from({ length: shape.events }, (_, i) => ({
          event: `event ${i}`,
          distinct_id: 'ann',
          token: TOKEN,
          mark,
          text: KEPT_TEXT,
        }));
        const isRight =
          answer === '200 {"status":1}' && JSON.stringify(taken(log)) === JSON.stringify(expected);
        if (!isRight) wrong.push(`${path}: ${shape.name} as ${sent.how}: ${answer}`);
      }
    }
  }
  t.comment(`${requests} requests`);
  t.same(wrong.slice(0, 20), []);
});

t.test('recordings are taken by every method and in every encoding, and kept nowhere', async (t) => {
  const { url, log, server } = await capture(t);
  const snapshot = [{ event: '$snapshot', properties: { token: TOKEN, $session_id: 's' } }];
  let requests = 0;
  for (const path of pathsOf('recordings')) {
    for (const sent of waysToSend(JSON.stringify(snapshot))) {
      const answer = await ask(url, path, sent);
      requests++;
      if (answer !== '200 {"status":1}') t.fail(`${path}: ${sent.how}: ${answer}`);
    }
  }
  t.equal(log.batches.length, 0);
  t.same(server.door().discarded, { session_recording: requests });
});

/** As server SDKs wrap the bodies of V1 and of Segment: announced, or told by their bytes. */
const COMPRESSED = [
  ['identity', (json: string) => Buffer.from(json)],
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['zstd', (json: string) => zstdFrame(Buffer.from(json))],
] as const;

t.test('V1 is taken in every compression, announced or not', async (t) => {
  const { post, log } = await capture(t);
  const uuid = '0199a1b2-0000-7000-8000-000000000001';
  const body = JSON.stringify({ created_at: '2026-11-22T12:00:00Z', batch: [named(7, 0, { uuid })] });
  for (const path of pathsOf('events_v1')) {
    for (const [encoding, compress] of COMPRESSED) {
      for (const announced of [{}, { 'content-encoding': encoding }]) {
        for (const type of ['application/json', 'Application/JSON; charset=utf-8']) {
          const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': type, ...announced };
          const reply = await post(path, compress(body), headers);
          t.same(JSON.parse(reply.text), { results: { [uuid]: { result: 'ok' } } }, `${path} ${encoding}`);
          t.match(taken(log), [{ event: 'event 0', distinct_id: 'ann', mark: 7, text: KEPT_TEXT }]);
        }
      }
    }
  }
});

t.test('every path of Segment takes its message by either key in every compression', async (t) => {
  const { post, log } = await capture(t);
  const basic = { authorization: `Basic ${Buffer.from(`${TOKEN}:`).toString('base64')}` };
  const paths = pathsOf('segment');
  t.equal(paths.length, 28);
  for (const path of paths) {
    const message = { type: 'track', event: 'x', userId: 'ann', properties: { mark: 3, text: SENT_TEXT } };
    const isBatch = /^\/v1\/b/.test(path);
    for (const [key, headers] of [[{ writeKey: TOKEN }, {}] as const, [{}, basic] as const]) {
      const body = JSON.stringify(isBatch ? { batch: [message, message], ...key } : { ...message, ...key });
      for (const [encoding, compress] of COMPRESSED) {
        for (const type of ['application/json', 'text/plain']) {
          for (const announced of [{}, { 'content-encoding': encoding }]) {
            const reply = await post(path, compress(body), {
              'content-type': type,
              ...headers,
              ...announced,
            });
            t.same([reply.status, reply.text], [200, '{"success":true}'], `${path} ${encoding}`);
            const events = taken(log);
            t.equal(events.length, isBatch ? 2 : 1);
            for (const event of events) t.match(event, { distinct_id: 'ann', token: TOKEN });
          }
        }
      }
    }
  }
});
