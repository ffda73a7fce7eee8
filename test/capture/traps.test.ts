import { createServer } from 'node:http';
import { connect } from 'node:net';
import t from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { LogFullError, LogUnavailableError } from '../../src/storage/event-log.ts';
import { capture, event, pause, rawPost, raw as rawTo, until } from './harness.ts';

const body = JSON.stringify(event());
const request = rawPost('/e/', body);

/** A gate that stays shut until it is opened. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), wait: () => opened };
}

t.test('200 comes only after the append has resolved', async (t) => {
  const { post, log } = await capture(t);
  const shut = gate();
  log.gate = shut.wait;
  let isAnswered = false;
  const reply = post('/e/', body).then((answer) => {
    isAnswered = true;
    return answer;
  });
  await until(() => log.batches.length === 1);
  await pause(50);
  t.equal(isAnswered, false);
  shut.open();
  t.equal((await reply).status, 200);
});

t.test('a log that is full or away is 503 with Retry-After, and the next event goes through', async (t) => {
  const { post, log, server } = await capture(t);
  const cases = [
    ['log_full', new LogFullError('full'), /log is full/],
    ['log_unavailable', new LogUnavailableError('away'), /did not confirm/],
    ['log_unavailable', new Error('anything'), /did not confirm/],
  ] as const;
  for (const [, error, text] of cases) {
    log.gate = () => Promise.reject(error);
    const reply = await post('/e/', body, { origin: 'https://example.com' });
    t.equal(reply.status, 503);
    t.equal(reply.headers.get('retry-after'), '5');
    t.match(reply.text, text);
    t.equal(reply.headers.get('access-control-expose-headers'), 'Retry-After');
  }
  t.same(server.door().refused, { log_full: 1, log_unavailable: 2 });
  log.gate = async () => {};
  t.equal((await post('/e/', body)).status, 200);
});

t.test(
  'past the bytes in flight a request is 503 before its body is read, and later it is taken',
  async (t) => {
    const { post, raw, log, server } = await capture(t, { limits: { bytesInFlightMax: 2_000 } });
    const shut = gate();
    log.gate = shut.wait;
    const first = post('/e/', event({ properties: { x: 'x'.repeat(1_000) } }));
    await until(() => log.batches.length === 1);
    const head = rawPost('/e/', 'x'.repeat(1_500)).slice(0, -1_500);
    const early = await raw(head);
    t.match(early.text, /^HTTP\/1.1 503 Service Unavailable\r\n/, 'without a byte of the body');
    t.match(early.text, /Retry-After: 5\r\n/);
    const chunked = await raw('POST /e/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n');
    t.equal(chunked.text, '', 'one that does not say its length is read until it is too much');
    shut.open();
    t.equal((await first).status, 200);
    t.equal(
      (await post('/e/', event({ properties: { x: 'x'.repeat(1_000) } }))).status,
      200,
      'all bytes were given back',
    );
    t.same(server.door().refused, { overloaded: 1 });
  },
);

t.test('bytes in flight come back from requests that end in every other way', async (t) => {
  const { post, server } = await capture(t, { limits: { bytesInFlightMax: 4_000 } });
  for (let i = 0; i < 10; i++) {
    await post('/e/', `{${' '.repeat(1_000)}`);
    await rawTo(server.port, [rawPost('/e/', 'x'.repeat(1_000)).slice(0, -10)], 20);
  }
  t.equal((await post('/e/', event({ properties: { x: 'x'.repeat(1_000) } }))).status, 200);
});

t.test('a client that leaves in mid-body leaves nothing behind', async (t) => {
  const { post, log, server } = await capture(t);
  for (const isRude of [false, true]) {
    const socket = connect(server.port, '127.0.0.1');
    socket.write(request.slice(0, -10));
    await pause(30);
    if (isRude) socket.resetAndDestroy();
    else socket.end();
    await pause(30);
  }
  t.equal(log.batches.length, 0, 'a Content-Length that promised more makes no event');
  t.equal((await post('/e/', body)).status, 200);
});

t.test('a client that leaves before the answer takes nobody with it', async (t) => {
  const { post, log, server } = await capture(t);
  const shut = gate();
  log.gate = shut.wait;
  const socket = connect(server.port, '127.0.0.1');
  socket.write(request);
  await until(() => log.batches.length === 1);
  socket.resetAndDestroy();
  await pause(30);
  shut.open();
  await pause(30);
  t.equal((await post('/e/', body)).status, 200);
});

t.test('requests one after the other on a connection are answered in order', async (t) => {
  const { raw } = await capture(t);
  const { text } = await raw(request, rawPost('/nowhere', ''), rawPost('/e/', '{}'), request);
  t.same(text.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 401', 'HTTP/1.1 200']);
});

t.test('a request sent before the answer to the one before is never answered falsely', async (t) => {
  // The library ends a connection that does not wait for an answer; no SDK and no browser does this.
  const { raw, log, post } = await capture(t);
  log.gate = () => pause(10);
  const { text, end } = await raw(request + rawPost('/e/', body.replace('signup', 'second')));
  t.equal(end, 'closed');
  t.equal(text, '', 'nothing was acknowledged');
  t.ok(log.batches.length <= 1);
  t.equal((await post('/e/', body)).status, 200);
});

t.test('what is answered at once may be pipelined', async (t) => {
  const { raw } = await capture(t);
  const config = 'GET /array/phc_x/config HTTP/1.1\r\nHost: x\r\n\r\n';
  const { text } = await raw(config + rawPost('/flags/', '{}') + request);
  t.same(text.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 200']);
});

t.test('cookies of 20 KB pass, in one piece and in several', async (t) => {
  const { raw } = await capture(t);
  const large = rawPost('/e/', body, [`Cookie: ${'c'.repeat(20_000)}`]);
  t.match((await raw(large)).text, /^HTTP\/1.1 200/);
  t.match(
    (await raw(large.slice(0, 3_000), large.slice(3_000, 15_000), large.slice(15_000))).text,
    /^HTTP\/1.1 200/,
  );
});

t.test('a body in chunks, and one that comes in crumbs, are bodies', async (t) => {
  const { raw, log } = await capture(t);
  const [left, right] = [body.slice(0, 20), body.slice(20)];
  const inChunks = [left, right, ''].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
  const chunked = await raw(`POST /e/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${inChunks}`);
  t.match(chunked.text, /^HTTP\/1.1 200/);
  // The library takes a request line only in one piece.
  const lineEnd = request.indexOf('\r\n') + 2;
  const slow = await raw(request.slice(0, lineEnd), ...(request.slice(lineEnd).match(/.{1,5}/gs) ?? []));
  t.match(slow.text, /^HTTP\/1.1 200/);
  t.equal(log.events().length, 2);
});

t.test('a Content-Length that is no number is 400', async (t) => {
  const { raw, log } = await capture(t);
  const { text } = await raw(`POST /e/ HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n${body}`);
  t.match(text, /^HTTP\/1.1 400/);
  t.equal(log.batches.length, 0);
});

t.test('a client with too many headers, or too slow a body, is cut off and holds up nobody', async (t) => {
  const { post, server, log } = await capture(t);
  const headers = Array.from({ length: 120 }, (_, i) => `X-H${i}: v`);
  const cutAfterMs = 60_000;
  const trickle = connect(server.port, '127.0.0.1');
  trickle.on('error', () => {});
  trickle.write(rawPost('/e/', 'x'.repeat(5_000)).slice(0, -4_990));
  const drip = setInterval(() => trickle.write('x'), 500);
  const isCut = new Promise<void>((resolve) => trickle.once('close', resolve));
  const many = rawTo(server.port, [rawPost('/e/', body, headers)], cutAfterMs);
  t.equal((await post('/e/', body)).status, 200, 'meanwhile others are answered');
  t.equal((await many).end, 'closed');
  await isCut;
  clearInterval(drip);
  t.equal(log.batches.length, 1);
  t.match((await rawTo(server.port, [rawPost('/e/', body, headers.slice(0, 90))])).text, /^HTTP\/1.1 200/);
});

t.test('closing lets requests in flight finish, refuses new ones, and ends idle connections', async (t) => {
  const { post, log, server, url } = await capture(t);
  const shut = gate();
  log.gate = shut.wait;
  const inFlight = post('/e/', body);
  await until(() => log.batches.length === 1);
  const idle = rawTo(server.port, [''], 60_000);
  const busy = rawTo(server.port, [request.slice(0, 30), '', '', request.slice(30)], 60_000);
  await pause(5);
  const closed = server.close();
  await pause(100);
  shut.open();
  t.equal((await inFlight).status, 200);
  await closed;
  await server.close();
  t.equal((await idle).end, 'closed');
  t.match((await busy).text, /^(HTTP\/1.1 503|$)/, 'a request that began late was not acknowledged');
  await t.rejects(fetch(url), 'nobody listens any more');
});

t.test('closing does not wait for ever', async (t) => {
  const { post, log, server } = await capture(t);
  log.gate = () => new Promise(() => {});
  const lost = post('/e/', body).catch(() => 'cut');
  await until(() => log.batches.length === 1);
  const startMs = performance.now();
  await server.close();
  t.ok(performance.now() - startMs < LIMITS.process.stopTimeoutMs);
  t.equal(await lost, 'cut');
});

t.test('a port in use is an error that names it and the setting', async (t) => {
  const { server } = await capture(t);
  await t.rejects(
    capture(t, { port: server.port }),
    new RegExp(`port ${server.port} .* in use.*CAPTURE_PORT`),
  );
  const other = createServer();
  const port = await new Promise<number>((resolve) => {
    other.listen(0, '127.0.0.1', () => {
      const address = other.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  await t.rejects(capture(t, { port }), new RegExp(`port ${port} .* in use.*CAPTURE_PORT`));
  await new Promise((resolve) => other.close(resolve));
  await t.rejects(capture(t, { host: '203.0.113.1' }), /CAPTURE_HOST|CAPTURE_PORT/);
});
