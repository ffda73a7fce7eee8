import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Books } from '../../src/books.ts';
import { startEmbeddedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { type RunningSystem, runProgram, startSystemProcess } from '../support/program.ts';
import { until } from '../system/harness.ts';

const EVENTS = 500;
const TOKEN = 'phc_tributary_dev';

t.setTimeout(600_000);

type Environment = Readonly<Record<string, string>>;

async function temporary(t: Test, name: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `tributary-roles-${name}-`));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const get = async (system: RunningSystem, path: string) => {
  const response = await fetch(system.consoleUrl + path);
  return { status: response.status, text: await response.text() };
};

const booksOf = async (system: RunningSystem): Promise<Books> =>
  JSON.parse((await get(system, '/_ledger')).text);

async function sql(system: RunningSystem, statement: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${system.consoleUrl}/sql`, { method: 'POST', body: statement });
  return { status: response.status, text: await response.text() };
}

async function send(capture: RunningSystem, from: number, count: number): Promise<number> {
  const batch = Array.from({ length: count }, (_, index) => ({
    event: 'step',
    distinct_id: `person-${(from + index) % 50}`,
    properties: { n: from + index },
  }));
  const body = JSON.stringify({ api_key: TOKEN, batch });
  return (await fetch(`${capture.captureUrl}/batch`, { method: 'POST', body })).status;
}

t.test('capture, worker and loader as processes of their own', async (t) => {
  const server = await startEmbeddedPostgres({ dir: await temporary(t, 'pg'), logger: quietLogger });
  let isServerUp = true;
  t.teardown(async () => {
    if (isServerUp) await server.stop();
  });
  const shared: Environment = {
    KAFKA_HOSTS: await kafkaHosts(),
    KAFKA_PREFIX: `roles-${randomBytes(4).toString('hex')}-`,
    KAFKA_TOPIC_PARTITIONS: '4',
    DATABASE_URL: server.url,
    TRIBUTARY_DEV_PROJECT: 'on',
  };
  const dir = await temporary(t, 'data');
  const start = async (role: string): Promise<RunningSystem> => {
    const system = await startSystemProcess(dir, { ...shared, TRIBUTARY_ROLES: role });
    t.teardown(() => system.stop());
    return system;
  };
  // At once, on an empty database and a Kafka without topics.
  const [capture, worker, loader] = await Promise.all([start('capture'), start('worker'), start('loader')]);
  const all = { capture, worker, loader };

  t.test('events get their rows, and every process has the same books', async (t) => {
    for (let sent = 0; sent < EVENTS; sent += 100) t.equal(await send(capture, sent, 100), 200);
    await until('every row', async () => {
      const { text } = await sql(loader, 'SELECT uniqExact(uuid) AS n FROM events');
      return text.includes(`"n":${EVENTS}}`) || text.includes(`"n":"${EVENTS}"}`) ? text : undefined;
    });
    for (const [role, system] of Object.entries(all)) {
      const books = await until('the books show it', async () => {
        const found = await booksOf(system);
        return found.rows === EVENTS && found.in_flight === 0 ? found : undefined;
      });
      t.match(books, { acknowledged: EVENTS, waiting: 0, held: 0, rows: EVENTS, imbalance: 0 }, role);
    }
  });

  t.test('each process says what it runs, and what it has not', async (t) => {
    for (const [role, system] of Object.entries(all)) {
      t.match((await get(system, '/')).text, `This process runs ${role}.`);
      t.equal((await get(system, '/_health')).status, 200);
      t.equal((await get(system, '/_ready')).status, 200);
    }
    const gauge = /^tributary_worker_lag_records\{partition="\d"\} 0$/gm;
    await until('the worker knows how far it is on every partition', async () => {
      const found = (await get(worker, '/_metrics')).text.match(gauge);
      return found?.length === 4 ? true : undefined;
    });
    t.notOk(worker.captureUrl, 'no door but that of capture');
    t.match(await sql(worker, 'SELECT 1'), { status: 400, text: /no ClickHouse.*role loader/ });
  });

  t.test('commands find their way', async (t) => {
    const ports = { CAPTURE_PORT: new URL(capture.captureUrl).port, BUFFER_CONVERSION_SECONDS: '0' };
    const run = (name: string, ...args: string[]) =>
      runProgram(`src/cli/${name}.ts`, args, { ...shared, ...ports, TRIBUTARY_DATA_DIR: dir }).ended;
    t.match(await run('sql', 'SELECT 1 AS one'), { code: 0, stdout: '{"one":1}\n' });
    t.match(await run('sql', '--postgres', 'SELECT count(*) AS n FROM posthog_team'), {
      stdout: '{"n":1}\n',
    });
    t.match(await run('project', 'list'), { code: 0, stdout: new RegExp(TOKEN) });
    const sent = await run('send', 'hello');
    t.match(JSON.parse(sent.stdout || '{}'), { outcome: 'row' }, sent.stderr);
  });

  t.test('Postgres away: nobody has to be restarted, each says what it lacks, and all recover', async (t) => {
    await server.stop();
    isServerUp = false;
    await until('the worker is not ready', async () =>
      (await get(worker, '/_ready')).status === 503 ? true : undefined,
    );
    t.match(await get(worker, '/_ready'), { status: 503, text: /Postgres: failed/ });
    t.match(await get(capture, '/_ready'), { status: 200 }, 'capture can append all the same');
    t.equal(await send(capture, EVENTS + 1, 10), 200);
    for (const [role, system] of Object.entries(all))
      t.equal((await get(system, '/_health')).status, 200, role);
    await server.startAgain();
    isServerUp = true;
    const books = await until('what was sent meanwhile has rows', async () => {
      const found = await booksOf(worker).catch(() => undefined);
      return found?.rows === EVENTS + 11 ? found : undefined;
    });
    t.equal(books.imbalance, 0);
    await until('the worker is ready', async () =>
      (await get(worker, '/_ready')).status === 200 ? true : undefined,
    );
  });

  t.test('each ends in time when it is told to', async (t) => {
    for (const [role, system] of Object.entries(all)) t.equal((await system.stop()).code, 0, role);
  });
});

t.test('brokers that do not answer are an error that names them', async (t) => {
  const env = { KAFKA_HOSTS: '127.0.0.1:1', TRIBUTARY_DATA_DIR: await temporary(t, 'none') };
  const { code, stderr } = await runProgram('src/main.ts', [], {
    ...env,
    CAPTURE_PORT: '0',
    CONSOLE_PORT: '0',
    LOG_LEVEL: 'silent',
  }).ended;
  t.equal(code, 1);
  t.match(stderr, /Kafka does not answer: check KAFKA_HOSTS.*127\.0\.0\.1:1/);
});
