import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { processCommand } from '../../src/storage/embedded/postgres-programs.ts';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
  stopOrphanedPostgres,
} from '../../src/storage/embedded/postgres-server.ts';
import { classify, openPostgres, type Postgres } from '../../src/storage/postgres/pool.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const logger = quietLogger;
const SERVER = new URL('../../src/storage/embedded/postgres-server.ts', import.meta.url).href;
const LOGGER = new URL('../../src/logger.ts', import.meta.url).href;

async function temporary(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-server-'));
  t.teardown(async () => {
    await stopOrphanedPostgres(join(dir, 'postgres'));
    await rm(dir, { recursive: true, force: true });
  });
  return join(dir, 'postgres');
}

/** Runs on the server, which lives before and after. */
async function withPool<Result>(url: string, run: (postgres: Postgres) => Promise<Result>): Promise<Result> {
  const postgres = openPostgres({ url, logger });
  return run(postgres).finally(() => postgres.close());
}

async function timed<Result>(work: Promise<Result>): Promise<{ result: Result; elapsedMs: number }> {
  const begun = performance.now();
  return { result: await work, elapsedMs: performance.now() - begun };
}

/** The tests tell the life of this one, each going on where the one before ended. */
const dir = await temporary(t);

const postmasterPid = async (dir: string): Promise<number> =>
  Number.parseInt(await readFile(join(dir, 'pgdata/postmaster.pid'), 'utf8'), 10);

/** A Node that starts the server of `dir`, keeps a transaction open in it, and is killed. Gives the server's URL. */
async function killedStarter(dir: string): Promise<string> {
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(SERVER)};
    import { silentLogger } from ${JSON.stringify(LOGGER)};
    const { url } = await startEmbeddedPostgres({ dir: ${JSON.stringify(dir)}, logger: silentLogger });
    console.log(url);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return String(chunk).trim();
}

t.test('the first start makes a cluster, the second one finds it', async (t) => {
  const first = await timed(startEmbeddedPostgres({ dir, logger }));
  const settings = await withPool(first.result.url, async (postgres) => {
    await postgres.query('CREATE TABLE kept AS SELECT 42 AS answer');
    const { rows } = await postgres.query<{ name: string; setting: string }>(
      `SELECT name, setting FROM pg_settings WHERE name IN
       ('fsync', 'synchronous_commit', 'listen_addresses', 'unix_socket_directories', 'server_encoding')`,
    );
    return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
  });
  t.same(settings, {
    fsync: 'on',
    synchronous_commit: 'on',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    server_encoding: 'UTF8',
  });
  t.equal((await stat(join(dir, 'password'))).mode & 0o777, 0o600);
  await first.result.stop();
  const second = await timed(startEmbeddedPostgres({ dir, logger }));
  t.same(
    await withPool(second.result.url, async (postgres) => (await postgres.query('SELECT * FROM kept')).rows),
    [{ answer: 42 }],
  );
  await second.result.stop();
  t.comment(`first start ${first.elapsedMs.toFixed()} ms, second ${second.elapsedMs.toFixed()} ms`);
  t.ok(second.elapsedMs < first.elapsedMs, 'which is sooner there');
});

t.test('nobody gets in without the password', async (t) => {
  const { url, stop } = await startEmbeddedPostgres({ dir, logger });
  const wrong = new URL(url);
  wrong.password = 'tributary';
  await t.rejects(
    withPool(wrong.href, (postgres) => postgres.query('SELECT 1')),
    { message: /password authentication failed/, fault: 'unavailable' },
  );
  await stop();
});

t.test('a stop waits for nothing that is open, and a second one does nothing', async (t) => {
  const { url, stop } = await startEmbeddedPostgres({ dir, logger });
  const postgres = openPostgres({ url, logger });
  const sleepers = Array.from({ length: 4 }, () =>
    t.rejects(postgres.transaction((transaction) => transaction.query('SELECT pg_sleep(60)'))),
  );
  await postgres.query('SELECT 1');
  const { elapsedMs } = await timed(stop());
  t.ok(elapsedMs < LIMITS.process.stopTimeoutMs, `${elapsedMs.toFixed()} ms`);
  await stop();
  await Promise.all(sleepers);
  await postgres.close();
});

t.test('a server left behind by kill -9 of Node is replaced, and what was committed is there', async (t) => {
  const orphanUrl = await killedStarter(dir);
  const orphan = await postmasterPid(dir);
  t.match(await processCommand(orphan), 'postgres', 'the server outlived its Node');
  const postgres = openPostgres({ url: orphanUrl, logger });
  await postgres.query('CREATE TABLE committed AS SELECT 1 AS answer');
  const interrupted = postgres.transaction(async (transaction) => {
    await transaction.query('INSERT INTO committed VALUES (2)');
    const { url, stop } = await startEmbeddedPostgres({ dir, logger });
    t.equal(await processCommand(orphan), '');
    const { rows } = await withPool(url, (next) => next.query('SELECT answer FROM committed'));
    t.same(rows, [{ answer: 1 }]);
    await stop();
  });
  const error: unknown = await interrupted.catch((reason: unknown) => reason);
  t.equal(classify(error), 'unknown', 'its COMMIT got no answer');
  await postgres.close();
});

t.test('two starts right after one another leave one server', async (t) => {
  const starts = await Promise.allSettled([1, 2].map(() => startEmbeddedPostgres({ dir, logger })));
  t.ok(starts.some(({ status }) => status === 'fulfilled'));
  const { url, stop } = await startEmbeddedPostgres({ dir, logger });
  await withPool(url, (postgres) => postgres.query('SELECT 1'));
  await stop();
  t.equal(await readFile(join(dir, 'pgdata/postmaster.pid'), 'utf8').catch(() => 'gone'), 'gone');
});

t.test('a server killed in the middle of a write recovers', async (t) => {
  const { url } = await startEmbeddedPostgres({ dir, logger });
  const postgres = openPostgres({ url, logger });
  await postgres.query('CREATE TABLE written (n integer)');
  let acknowledged = 0;
  const writing = (async () => {
    for (;;) {
      await postgres.query('INSERT INTO written VALUES ($1)', [acknowledged]);
      acknowledged += 1;
    }
  })();
  while (acknowledged < 50) await postgres.query('SELECT 1');
  process.kill(await postmasterPid(dir), 'SIGKILL');
  await t.rejects(writing);
  await postgres.close();
  const next = await startEmbeddedPostgres({ dir, logger });
  const { rows } = await withPool(next.url, (again) =>
    again.query<{ count: number }>('SELECT count(*) FROM written WHERE n < $1', [acknowledged]),
  );
  t.same(rows, [{ count: acknowledged }]);
  await next.stop();
});

t.test('a stale pid file stops no start and kills no stranger', async (t) => {
  const stranger = spawn('sleep', ['60']);
  const pgdata = join(dir, 'pgdata');
  const stale = [stranger.pid, 4_194_000].map(
    (pid) => `${pid}\n${pgdata}\n1\n5432\n\n127.0.0.1\n1 1\nready\n`,
  );
  for (const content of [...stale, '', 'half']) {
    await writeFile(join(pgdata, 'postmaster.pid'), content);
    const { url, stop } = await startEmbeddedPostgres({ dir, logger });
    await withPool(url, (postgres) => postgres.query('SELECT 1'));
    await stop();
  }
  t.equal(stranger.exitCode, null);
  stranger.kill();
});

t.test('a cluster that initdb did not finish is made anew', async (t) => {
  const dir = await temporary(t);
  await mkdir(join(dir, 'pgdata-0badcafe/base'), { recursive: true });
  await writeFile(join(dir, 'pgdata-0badcafe/PG_VERSION'), '18\n');
  await writeFile(join(dir, 'password'), 'half');
  const { url, stop } = await startEmbeddedPostgres({ dir, logger });
  await withPool(url, (postgres) => postgres.query('SELECT 1'));
  await stop();
  t.same(
    (await readdir(dir)).filter((name) => name.startsWith('pgdata')),
    ['pgdata'],
  );
});

t.test('a lost password and a damaged cluster are one clear error each', async (t) => {
  const dir = await temporary(t);
  const stop = async (server: EmbeddedPostgres): Promise<void> => server.stop();
  await stop(await startEmbeddedPostgres({ dir, logger }));
  await writeFile(join(dir, 'pgdata/PG_VERSION'), '9\n');
  await t.rejects(startEmbeddedPostgres({ dir, logger }), {
    name: 'EmbeddedPostgresError',
    message: /does not start .*server\.log/s,
  });
  await rm(join(dir, 'password'));
  await t.rejects(startEmbeddedPostgres({ dir, logger }), {
    name: 'EmbeddedPostgresError',
    message: /password cannot be read.*npm run reset/,
  });
});
