/** What bounds the door as a whole: connections, time, pieces, and answers that nobody reads. */
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { outlineOf } from '../../src/capture/outline.ts';
import { parseInPieces } from '../../src/capture/parse.ts';
import { Queue } from '../../src/capture/queue.ts';
import { Refusal } from '../../src/capture/refusal.ts';
import { systemClock } from '../../src/clock.ts';
import { LIMITS } from '../../src/limits.ts';
import { Metrics } from '../../src/metrics.ts';
import { capture, event, NOW, raw, rawPost, TOKEN, until } from './harness.ts';

const MIB = 1024 * 1024;
const body = JSON.stringify(event());

function open(port: number): Promise<{ socket: Socket; isEnded: () => boolean }> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let ended = false;
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => {
      ended = true;
    });
    socket.on('connect', () => resolve({ socket, isEnded: () => ended }));
  });
}

t.test('a connection past the bound is closed and counted; the others go on, and make room', async (t) => {
  const metrics = new Metrics();
  const { server, post } = await capture(t, { metrics, limits: { connectionsMax: 3 } });
  const held = await Promise.all([1, 2, 3].map(() => open(server.port)));
  const tooMany = await open(server.port);
  await until(tooMany.isEnded);
  t.same(
    held.map(({ isEnded }) => isEnded()),
    [false, false, false],
  );
  t.match(await metrics.text(), /^tributary_capture_cut_total\{reason="too_many_connections"\} 1$/m);
  t.match(await metrics.text(), /^tributary_capture_connections 3$/m);
  held[0]?.socket.write(rawPost('/e/', body));
  await new Promise((resolve) => held[0]?.socket.once('data', resolve));
  for (const { socket } of held) socket.destroy();
  const isEmpty = async () => /^tributary_capture_connections 0$/m.test(await metrics.text());
  while (!(await isEmpty())) await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal((await post('/e/', body)).status, 200);
});

t.test('connections leave some of the open files that are allowed', async (t) => {
  const metrics = new Metrics();
  await capture(t, { metrics, limits: { filesReserved: 1_000_000_000 } });
  const most = /^tributary_capture_connections_max (\d+)$/m.exec(await metrics.text())?.[1];
  t.equal(most, process.platform === 'linux' ? '1' : String(LIMITS.capture.connectionsMax));
});

t.test('a body that takes too long ends its connection, is counted, and leaves nothing', async (t) => {
  const metrics = new Metrics();
  const expire: (() => void)[] = [];
  const clock = {
    ...systemClock,
    now: () => NOW,
    after(delayMs: number, run: () => void) {
      if (delayMs !== LIMITS.capture.bodyTimeoutMs) return systemClock.after(delayMs, run);
      expire.push(run);
      return () => {};
    },
  };
  const { server, log, post } = await capture(t, { metrics, clock });
  const { socket, isEnded } = await open(server.port);
  const request = rawPost('/e/', body);
  socket.write(request.slice(0, -10));
  await until(() => expire.length > 0);
  t.match(await metrics.text(), /^tributary_capture_in_flight_bytes [1-9]/m);
  expire[0]?.();
  await until(isEnded);
  t.match(await metrics.text(), /^tributary_capture_cut_total\{reason="slow_body"\} 1$/m);
  t.match(await metrics.text(), /^tributary_capture_in_flight_bytes 0$/m);
  t.equal(log.batches.length, 0);
  t.equal((await post('/e/', body)).status, 200);
});

t.test('large bodies that never end leave room for small ones', async (t) => {
  const metrics = new Metrics();
  const { server, post } = await capture(t, { metrics, limits: { bytesInFlightMax: 48 * MIB } });
  const stuck = await open(server.port);
  stuck.socket.write(rawPost('/e/', ' '.repeat(15 * MIB)).slice(0, -10));
  const held = async () => Number(/in_flight_bytes (\d+)$/m.exec(await metrics.text())?.[1]);
  while ((await held()) < 14 * MIB) await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal((await post('/e/', ' '.repeat(8 * MIB))).status, 503);
  t.equal((await post('/e/', body)).status, 200);
  stuck.socket.destroy();
});

t.test('a body in crumbs is refused once there are too many of them', async (t) => {
  const { server, log, raw } = await capture(t);
  const head = 'POST /e/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
  const crumbs = '1\r\n \r\n'.repeat(LIMITS.capture.smallPiecesMax + 1);
  const { text, end } = await raw(head, crumbs);
  t.match(text, /^HTTP\/1.1 400 .*too many small pieces/s);
  t.equal(end, 'closed');
  t.same(server.door().refused, { malformed_body: 1 });
  t.equal(log.batches.length, 0);
});

t.test('what a body inflates to counts as bytes in flight', async (t) => {
  const { post, server } = await capture(t, { limits: { bytesInFlightMax: 100_000 } });
  const inflated = event({ properties: { x: 'x'.repeat(150_000) } });
  const reply = await post('/e/', gzipSync(JSON.stringify(inflated)));
  t.equal(reply.status, 503);
  t.equal(reply.headers.get('retry-after'), '5');
  t.same(server.door().refused, { overloaded: 1 });
  t.equal((await post('/e/', body)).status, 200, 'the bytes were given back');
});

t.test('past the bodies that may wait to be inflated, or to be worked on, the answer is 503', async (t) => {
  const large = { batch: [event({ properties: { x: 'x'.repeat(400_000) } })], api_key: TOKEN };
  for (const limits of [{ inflateWaitingMax: 0 }, { largeWaitingMax: 0 }]) {
    const { post, server } = await capture(t, { limits });
    const reply = await post('/batch', gzipSync(JSON.stringify(large)));
    t.equal(reply.status, 503);
    t.match(reply.text, /too many (gzip|large) bodies wait/);
    t.same(server.door().refused, { overloaded: 1 });
    t.equal((await post('/e/', body)).status, 200);
  }
});

t.test('work in a queue is done one after the other, and what failed holds nobody up', async (t) => {
  const queue = new Queue();
  const done: number[] = [];
  const work = (number: number) => async () => {
    await new Promise((resolve) => setTimeout(resolve, 10 - 3 * number));
    if (number === 1) throw new Error('failed');
    done.push(number);
  };
  const results = [0, 1, 2].map((number) => queue.run(3, work(number)));
  t.equal(queue.run(3, work(3)), undefined, 'one too many');
  await Promise.allSettled(results);
  t.same(done, [0, 2]);
  await queue.run(1, work(3));
  t.same(done, [0, 2, 3]);
});

t.test('a large answer that nobody reads waits for its reader, and comes whole', async (t) => {
  const { server, url, post } = await capture(t);
  const script = await (await fetch(`${url}/static/array.full.js`)).arrayBuffer();
  t.ok(script.byteLength > LIMITS.capture.answerAtOnceBytesMax);
  const socket = connect(server.port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.pause();
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write('GET /static/array.full.js HTTP/1.1\r\nHost: x\r\n\r\n');
  t.equal((await post('/e/', body)).status, 200, 'meanwhile others are answered');
  socket.resume();
  const received = () => chunks.reduce((bytes, { length }) => bytes + length, 0);
  await until(() => received() > script.byteLength);
  const all = Buffer.concat(chunks);
  const at = all.indexOf('\r\n\r\n') + 4;
  t.match(all.toString('latin1', 0, at), new RegExp(`Content-Length: ${script.byteLength}\r\n`));
  t.ok(all.subarray(at).equals(Buffer.from(script)));
  socket.write(rawPost('/e/', body));
  await until(() => received() > all.length);
  t.match(
    Buffer.concat(chunks).toString('latin1', all.length),
    /^HTTP\/1.1 200/,
    'and the connection goes on',
  );
  socket.destroy();
});

t.test('clients that leave while a large answer is written take nobody with them', async (t) => {
  const { server, post } = await capture(t);
  for (let i = 0; i < 30; i++) {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET /static/array.full.js HTTP/1.1\r\nHost: x\r\n\r\n');
    if (i % 3 > 0) await new Promise((resolve) => socket.once(i % 3 === 1 ? 'connect' : 'data', resolve));
    socket.resetAndDestroy();
  }
  t.equal((await post('/e/', body)).status, 200);
});

/** So small that everything has several. */
const TINY = { ...LIMITS.capture, pieceBytesMax: 20 };

async function parsed(text: string): Promise<unknown> {
  return parseInPieces(text, TINY).catch((error: unknown) =>
    error instanceof SyntaxError ? 'no JSON' : error,
  );
}

function expected(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return 'no JSON';
  }
}

t.test('a text that is parsed in pieces gives what JSON.parse gives, whatever it is', async (t) => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const events = fc.array(fc.oneof(value, fc.dictionary(fc.string(), value)), { maxLength: 30 });
  const other = fc.dictionary(
    fc.constantFrom('batch ', 'xbatch', 'a"batch', 'token', '__proto__', ' '),
    value,
  );
  const whole = fc.oneof(
    value,
    events,
    fc.tuple(other, events, other).map(([before, batch, after]) => {
      const [left, right] = [before, after].map((part) => JSON.stringify(part).slice(1, -1));
      const parts = [left, `"batch" : ${JSON.stringify(batch, null, 1)}`, right].filter(
        (part) => part !== '',
      );
      return { raw: `{ ${parts.join(', ')} }` };
    }),
  );
  const text = whole.map((made) =>
    typeof made === 'object' && made !== null && 'raw' in made && Object.keys(made).length === 1
      ? String(made.raw)
      : JSON.stringify(made),
  );
  await fc.assert(
    fc.asyncProperty(text, async (text) => {
      t.same(await parsed(text), expected(text), text);
    }),
    { numRuns: 300 },
  );
  const spoilt = fc
    .tuple(text, fc.nat(), fc.constantFrom('', ',', '[', ']', '{', '}', '"', '\\'))
    .map(([text, at, char]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + char + text.slice(place + (at % 2));
    });
  await fc.assert(
    fc.asyncProperty(spoilt, async (text) => {
      const found = await parsed(text);
      if (!(found instanceof Refusal)) t.same(found, expected(text), text);
    }),
    { numRuns: 1_000 },
  );
});

t.test('of a large text that would cost too much nothing is parsed', async (t) => {
  const limits = {
    ...TINY,
    parsedDepthMax: 10,
    parsedEventKeysMax: 20,
    parsedKeysMax: 50,
    eventsPerBatchMax: 30,
  };
  const reason = (text: string) => {
    const outline = outlineOf(text, limits);
    return outline instanceof Refusal ? outline.reason : undefined;
  };
  const list = (count: number, one: string) => Array.from({ length: count }, () => one).join(',');
  t.equal(reason(`${'['.repeat(11)}${']'.repeat(11)}`), 'too_deep');
  t.equal(reason(`${'['.repeat(9)}${']'.repeat(9)}`), undefined);
  t.equal(reason(`{"a":[${list(21, '1')}]}`), 'too_many_keys', 'of one event');
  t.equal(reason(`{"batch":[${list(3, `[${list(17, '1')}]`)}]}`), 'too_many_keys', 'of all');
  t.equal(reason(`{"batch":[${list(31, '1')}]}`), 'too_many_events');
  t.equal(reason(`{"batch":[${list(30, '1')}]}`), undefined);
  t.equal(reason('{"batch":[1],"batch":[2]}'), 'malformed_body');
  t.equal(reason(`{"text":"${'[{,'.repeat(100)}\\"[["}`), undefined, 'what stands in a string is none of it');
});

t.test(
  'a large batch is taken event by event as a small one is, and others are answered meanwhile',
  async (t) => {
    const { post, log } = await capture(t);
    const events = Array.from({ length: 2_000 }, (_, i) => ({
      event: 'one of many',
      distinct_id: `p-${i}`,
      properties: { i, text: 'ü☃'.repeat(50) },
    }));
    const large = post('/batch', { api_key: TOKEN, batch: events });
    const small = post('/e/', body);
    t.equal((await small).status, 200);
    t.equal((await large).status, 200);
    const taken = log.events().filter(({ event }) => event === 'one of many');
    t.same(
      taken.map(({ data }) => JSON.parse(data)),
      events,
    );
  },
);

t.test('of a large V1 request one bad event alone is refused', async (t) => {
  const { post, log } = await capture(t);
  const uuid = (i: number) => `01980000-0000-7000-8000-${String(i).padStart(12, '0')}`;
  const batch = Array.from({ length: 500 }, (_, i) => ({
    uuid: uuid(i),
    event: i === 77 ? '' : 'x',
    distinct_id: 'ann',
    timestamp: '2026-11-22T12:00:00Z',
    properties: { text: 'x'.repeat(1_000) },
  }));
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const reply = await post('/i/v1/analytics/events', { batch }, headers);
  const { results } = JSON.parse(reply.text);
  t.equal(results[uuid(77)].result, 'drop');
  t.equal(results[uuid(78)].result, 'ok');
  t.equal(log.events().length, 499);
});

t.test('header values that would begin another header are never echoed', async (t) => {
  const { server } = await capture(t);
  for (const end of ['\r', '\n', '\r\n', '\0']) {
    const request = `OPTIONS /e/ HTTP/1.1\r\nHost: x\r\nOrigin: a${end}X-Injected: 1\r\nAccess-Control-Request-Headers: b${end}X-Injected: 1\r\n\r\n`;
    const { text } = await raw(server.port, [request]);
    t.notMatch(text, /^x-injected/im, JSON.stringify(end));
  }
});
