import { request } from 'node:http';
import t, { type Test } from 'tap';
import type { HoldReport } from '../../src/actors/hold-report.ts';
import type { Check } from '../../src/console/checks.ts';
import { type Console, type ConsoleSources, startConsole } from '../../src/console/server.ts';
import { asDistinctId, asEventUuid } from '../../src/event/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import { silentLogger } from '../../src/logger.ts';
import { QueryRefusedError } from '../../src/storage/clickhouse-port.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const BOOKS = {
  acknowledged: 3,
  waiting: 0,
  held: 0,
  in_flight: 0,
  rows: 2,
  dead_lettered: {},
  dropped: { duplicate: 1 },
  imbalance: 0,
  spooled: 0,
  door: { refused: {}, dead_lettered: {}, discarded: {} },
};

const uuid = (last: number): string => `0195a1b2-0000-7000-8000-00000000000${last}`;
const ALICE = asDistinctId('Alice');
const HELD: Readonly<Record<string, HoldReport>> = {
  [uuid(1)]: { state: 'held', distinctId: ALICE, untilMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678), events: 3 },
  [uuid(2)]: {
    state: 'released',
    distinctId: ALICE,
    by: 'person',
    byEvent: { uuid: asEventUuid(uuid(9)), name: '$identify' },
  },
  [uuid(3)]: { state: 'released', distinctId: ALICE, by: 'time', byEvent: undefined },
};

const SOURCES: ConsoleSources = {
  health: () => [{ name: 'worker', ok: true }],
  ready: async () => [{ name: 'worker', ok: true }],
  metrics: async () => 'tributary_x 1\n',
  books: async () => BOOKS,
  held: (eventUuid) => HELD[eventUuid],
  deadLetters: async () => ({ letters: [] }),
  replayDeadLetters: async () => ({ results: [], next: null }),
  async query(database, sql) {
    if (sql === 'away') throw new Error('cannot be reached');
    if (sql === 'wrong') throw new QueryRefusedError('Syntax error at wrong');
    return `${JSON.stringify({ database, sql })}\n`;
  },
};

async function startTest(
  t: Test,
  sources: Partial<ConsoleSources> = {},
  token?: string,
  logger = quietLogger,
): Promise<Console> {
  const console = await startConsole({
    host: '127.0.0.1',
    port: 0,
    token,
    roles: ['capture', 'worker', 'loader'],
    captureUrl: 'http://127.0.0.1:8000',
    sources: { ...SOURCES, ...sources },
    logger,
  });
  t.teardown(() => console.close());
  return console;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** Not `fetch`: it does not let the Host header be chosen. */
function ask({ port }: Console, path: string, { method, headers = {}, body }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path, method: method ?? (body === undefined ? 'GET' : 'POST'), headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

t.test('what capture takes can be read by tools, by anybody', async (t) => {
  const { port } = await startTest(t, {}, 'secret');
  const response = await fetch(`http://127.0.0.1:${port}/openapi.json`);
  t.equal(response.status, 200);
  t.match(await response.json(), { openapi: '3.1.0', paths: { '/batch': { post: {} } } });
});

t.test('each address answers, and others are told what there is', async (t) => {
  const console = await startTest(t);
  t.match(await ask(console, '/'), { status: 200, body: /SDKs post to http:\/\/127\.0\.0\.1:8000/ });
  t.same(await ask(console, '/_health'), { status: 200, body: 'worker: ok\n' });
  t.same(await ask(console, '/_ready'), { status: 200, body: 'worker: ok\n' });
  t.same(await ask(console, '/_metrics'), { status: 200, body: 'tributary_x 1\n' });
  t.same(JSON.parse((await ask(console, '/_ledger')).body), BOOKS);
  t.match(await ask(console, '/nowhere'), { status: 404, body: /\/_ready/ });
  t.match(await ask(console, '//'), { status: 404 });
  t.match(await ask(console, '/sql'), { status: 405, body: '/sql takes POST\n' });
  t.match(await ask(console, '/_health', { body: 'x' }), { status: 405 });
  t.same(await ask(console, '/_health', { method: 'HEAD' }), { status: 200, body: '' });
});

t.test('/_health and /_ready answer 503 with what has failed, and only that', async (t) => {
  const failed: Check[] = [
    { name: 'worker', ok: true },
    { name: 'loader', ok: false, detail: 'its loop has stopped' },
  ];
  const console = await startTest(t, { health: () => failed, ready: async () => failed });
  for (const path of ['/_health', '/_ready']) {
    t.same(await ask(console, path), { status: 503, body: 'loader: failed (its loop has stopped)\n' });
  }
});

t.test('what is open to all says what is wrong without passwords, tokens and mail addresses', async (t) => {
  const said = 'postgres://ann:hidden@db/x: b@example.com of phc_abc';
  const told = 'postgres://***@db/x: ***@*** of ph*_***';
  const failed: Check[] = [{ name: 'worker', ok: false, detail: said }];
  const sources = {
    health: () => failed,
    ready: async () => failed,
    books: () => Promise.reject(new Error(said)),
  };
  // What is planted here would be found in the logs: there it is the logger that takes it out.
  const console = await startTest(t, sources, undefined, silentLogger);
  t.same(await ask(console, '/_health'), { status: 503, body: `worker: failed (${told})\n` });
  t.same(await ask(console, '/_ready'), { status: 503, body: `worker: failed (${told})\n` });
  t.same(await ask(console, '/_ledger'), { status: 500, body: `${told}\n` });
});

t.test('/sql asks the database that is named, and passes on its refusal', async (t) => {
  const console = await startTest(t);
  const sql = (query: string, body: string) => ask(console, `/sql${query}`, { body });
  t.same(await sql('', 'SELECT 1'), { status: 200, body: '{"database":"clickhouse","sql":"SELECT 1"}\n' });
  t.same(await sql('?database=postgres', 'é'), {
    status: 200,
    body: '{"database":"postgres","sql":"é"}\n',
  });
  t.same(await sql('', 'wrong'), { status: 400, body: 'Syntax error at wrong\n' });
  t.same(await sql('', 'away'), { status: 500, body: 'cannot be reached\n' });
  t.match(await sql('?database=mysql', 'SELECT 1'), { status: 400, body: /clickhouse or postgres/ });
  t.match(await sql('', ' \n'), { status: 400, body: /empty/ });
  const long = ' '.repeat(LIMITS.console.sqlBytesMax + 1);
  t.match(await sql('', long), { status: 413, body: /at most/ });
  const chunked = await ask(console, '/sql', { body: long, headers: { 'transfer-encoding': 'chunked' } });
  t.match(chunked, { status: 413 });
});

t.test('/_held tells what the hold knows of an event, and 404 when it knows nothing', async (t) => {
  const console = await startTest(t);
  const held = async (query: string) => {
    const { status, body } = await ask(console, `/_held${query}`);
    return [status, JSON.parse(body)];
  };
  t.same(await held(`?event=${uuid(1)}`), [
    200,
    { state: 'held', distinct_id: 'Alice', until: '2026-01-02T03:04:05.678Z', events: 3 },
  ]);
  t.same(await held(`?event=${uuid(2).toUpperCase()}`), [
    200,
    {
      state: 'released',
      distinct_id: 'Alice',
      by: 'person',
      by_event: { uuid: uuid(9), name: '$identify' },
    },
  ]);
  t.same(await held(`?event=${uuid(3)}`), [
    200,
    { state: 'released', distinct_id: 'Alice', by: 'time', by_event: null },
  ]);
  t.same(await held(`?event=${uuid(4)}`), [404, { state: 'unknown' }]);
  for (const query of ['', '?event=', '?event=Alice']) {
    t.match(await ask(console, `/_held${query}`), { status: 400, body: /its uuid/ });
  }
  const elsewhere = { headers: { host: 'evil.example' } };
  t.match(await ask(console, `/_held?event=${uuid(1)}`, elsewhere), { status: 403 });
  t.match((await ask(console, '/')).body, '/_held');
});

t.test('without a token, data is shown to this machine only, under its own name', async (t) => {
  const console = await startTest(t);
  const status = async (headers: Record<string, string>) =>
    (await ask(console, '/sql', { body: 'SELECT 1', headers })).status;
  for (const host of ['localhost', 'LOCALHOST:8010', '127.0.0.1', '127.1.2.3:1', '[::1]:8010']) {
    t.equal(await status({ host }), 200, host);
  }
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1']) {
    t.equal(await status({ host }), 403, host);
  }
  t.equal(await status({ origin: 'http://localhost:3000' }), 200);
  t.equal(await status({ origin: 'https://evil.example' }), 403);
  t.equal(await status({ origin: 'null' }), 403);
  t.equal((await ask(console, '/_ready', { headers: { host: 'any.example' } })).status, 200);
});

t.test('with a token, data is shown to whoever bears it', async (t) => {
  const console = await startTest(t, {}, 'a-long-secret');
  const status = async (headers: Record<string, string>) =>
    (await ask(console, '/sql', { body: 'SELECT 1', headers })).status;
  t.equal(await status({ authorization: 'Bearer a-long-secret' }), 200);
  t.equal(await status({ authorization: 'bearer a-long-secret', host: 'console.example' }), 200);
  for (const authorization of ['', 'Bearer a-long-secre', 'Bearer a-long-secret2', 'Basic a-long-secret']) {
    t.equal(await status({ authorization }), 401, authorization);
  }
  t.equal((await ask(console, '/_health')).status, 200, 'health needs none');
});

t.test('a port in use rejects', async (t) => {
  const { port } = await startTest(t);
  await t.rejects(
    startConsole({
      host: '127.0.0.1',
      port,
      token: undefined,
      roles: [],
      captureUrl: '',
      sources: SOURCES,
      logger: quietLogger,
    }),
    { code: 'EADDRINUSE' },
  );
});
