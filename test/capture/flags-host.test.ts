import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { FlagsHost } from '../../src/capture/flags-host.ts';
import { LIMITS } from '../../src/limits.ts';
import { capture, post, TOKEN, until } from './harness.ts';

const EMPTY = { featureFlags: {}, featureFlagPayloads: {}, errorsWhileComputingFlags: true };
const FLAGS = { flags: { beta: { enabled: true } }, featureFlags: { beta: true } };

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** A host on a free port that answers as `reply` does, and keeps what it was asked. */
async function host(t: Pick<Test, 'teardown'>, reply: (response: ServerResponse) => void) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    asked.push({ method, url, headers, body: Buffer.concat(await request.toArray()) });
    reply(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, asked };
}

function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(value));
}

t.test('the host gets the question as it was asked, and its answer comes back', async (t) => {
  const { url: flagsProxyUrl, asked } = await host(t, (response) => sendJson(response, FLAGS));
  const { url } = await capture(t, { flagsProxyUrl: `${flagsProxyUrl}/` });
  const body = gzipSync(JSON.stringify({ token: TOKEN, distinct_id: 'ann' }));
  const headers = {
    'content-type': 'text/plain',
    origin: 'https://shop.example.com',
    'x-forwarded-for': '203.0.113.9',
    cookie: 'secret=1',
  };
  const reply = await post(`${url}/flags/?v=2&ip=0`, body, headers);
  t.same([reply.status, JSON.parse(reply.text)], [200, FLAGS]);
  t.equal(reply.headers.get('access-control-allow-origin'), 'https://shop.example.com');
  t.match(asked[0], { method: 'POST', url: '/flags/?v=2&ip=0', body });
  t.match(asked[0]?.headers, { 'content-type': 'text/plain', 'x-forwarded-for': '203.0.113.9' });
  t.equal(asked[0]?.headers.cookie, undefined);
  t.same(await (await fetch(`${url}/decide/?v=3`)).json(), FLAGS);
  t.match(asked[1], { method: 'GET', url: '/decide/?v=3' });
});

t.test('a host that fails in any way leaves clients with no flags, and with word of it', async (t) => {
  const failures: Record<string, (response: ServerResponse) => void> = {
    'an error': (response) => sendJson(response, {}, 500),
    'too many requests': (response) => sendJson(response, {}, 429),
    'a refusal': (response) => sendJson(response, {}, 401),
    'a page': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    'another address': (response) => response.writeHead(302, { location: '/' }).end(),
    'an end': (response) => response.destroy(),
    'half an answer': (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{', () => response.destroy());
    },
  };
  for (const [name, reply] of Object.entries(failures)) {
    const { url: flagsProxyUrl } = await host(t, reply);
    const { post } = await capture(t, { flagsProxyUrl });
    const answer = await post('/flags/?v=2', { token: TOKEN });
    t.equal(answer.status, 200, name);
    t.match(JSON.parse(answer.text), EMPTY, name);
  }
  const { post } = await capture(t, { flagsProxyUrl: 'http://127.0.0.1:1' });
  t.match(JSON.parse((await post('/flags', { token: TOKEN })).text), EMPTY);
});

t.test('a question that is too large is refused, and nobody is asked', async (t) => {
  const { url: flagsProxyUrl, asked } = await host(t, (response) => sendJson(response, FLAGS));
  const { post } = await capture(t, { flagsProxyUrl });
  const reply = await post('/flags/?v=2', Buffer.alloc(LIMITS.flags.bodyBytesMax + 1, 'x'));
  t.equal(reply.status, 413);
  t.match(reply.text, String(LIMITS.flags.bodyBytesMax));
  t.equal(asked.length, 0);
});

t.test('time, bytes and questions are bounded', async (t) => {
  const question = { method: 'GET', target: '/flags/', headers: {}, body: undefined } as const;
  const silent = await host(t, () => {});
  const slow = new FlagsHost(silent.url, { ...LIMITS.flags, timeoutMs: 50, concurrencyMax: 2 });
  const open = [slow.ask(question), slow.ask(question)];
  await t.rejects(slow.ask(question), { name: 'FlagsHostError', message: /2 questions are open/ });
  for (const each of open) await t.rejects(each, { name: 'FlagsHostError', message: /timeout/ });

  const long = await host(t, (response) => sendJson(response, 'x'.repeat(1_000)));
  const short = new FlagsHost(long.url, { ...LIMITS.flags, answerBytesMax: 1_000 });
  await t.rejects(short.ask(question), { message: /more than 1000 bytes/ });
});

t.test('a stop does not wait for the host', async (t) => {
  const { url: flagsProxyUrl, asked } = await host(t, () => {});
  const { server, post } = await capture(t, { flagsProxyUrl });
  const reply = post('/flags/?v=2', { token: TOKEN });
  await until(() => asked.length === 1);
  const closed = server.close();
  t.match(JSON.parse((await reply).text), EMPTY);
  await closed;
});
