/** Dead letters go back over Kafka, by any process that has ClickHouse. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Books } from '../../src/books.ts';
import { startEmbeddedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { openPostgres } from '../../src/storage/postgres/pool.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { type RunningSystem, runProgram, startSystemProcess } from '../support/program.ts';
import { type Row, until } from '../system/harness.ts';

t.setTimeout(600_000);

async function temporary(t: Test, name: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `tributary-letters-${name}-`));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

t.test('over Kafka an event goes back once, at its own time, whichever worker gets it', async (t) => {
  const server = await startEmbeddedPostgres({ dir: await temporary(t, 'pg'), logger: quietLogger });
  const postgres = openPostgres({ url: server.url, logger: quietLogger });
  t.teardown(async () => {
    await postgres.close();
    await server.stop();
  });
  const dir = await temporary(t, 'data');
  const shared = {
    KAFKA_HOSTS: await kafkaHosts(),
    KAFKA_PREFIX: `letters-${randomBytes(4).toString('hex')}-`,
    KAFKA_TOPIC_PARTITIONS: '4',
    DATABASE_URL: server.url,
    TRIBUTARY_DEV_PROJECT: 'on',
  };
  const start = async (roles: string): Promise<RunningSystem> => {
    const system = await startSystemProcess(dir, { ...shared, TRIBUTARY_ROLES: roles });
    t.teardown(() => system.stop());
    return system;
  };
  const [door, main] = await Promise.all([start('capture,worker'), start('worker,loader')]);
  const books = async (): Promise<Books> =>
    (await (await fetch(`${main.consoleUrl}/_ledger`)).json()) as Books;
  const sql = async (statement: string): Promise<readonly Row[]> => {
    const response = await fetch(`${main.consoleUrl}/sql`, { method: 'POST', body: statement });
    return (await response.text())
      .split('\n')
      .filter(Boolean)
      .map((line): Row => JSON.parse(line));
  };
  const ask = async (system: RunningSystem, ...args: string[]) => {
    const env = {
      ...shared,
      CONSOLE_PORT: new URL(system.consoleUrl).port,
      TRIBUTARY_DATA_DIR: `${dir}-none`,
    };
    const { code, stdout, stderr } = await runProgram('src/cli/dead-letters.ts', args, env).ended;
    const lines = stdout
      .split('\n')
      .filter(Boolean)
      .map((line): Row => JSON.parse(line));
    return { code, stderr, lines };
  };

  await postgres.query(
    `ALTER TABLE posthog_person ADD CONSTRAINT no_poison CHECK (NOT properties ? 'poison')`,
  );
  const uuids = Array.from({ length: 8 }, () => randomUUID());
  const batch = uuids.map((uuid, n) => {
    const timestamp = new Date(Date.UTC(2026, 0, 2, 3, 4, n)).toISOString();
    return {
      uuid,
      event: 'poisoned',
      distinct_id: `id ${n}`,
      timestamp,
      properties: { $set: { poison: n } },
    };
  });
  const body = JSON.stringify({ api_key: 'phc_tributary_dev', batch });
  t.equal((await fetch(`${door.captureUrl}/batch`, { method: 'POST', body })).status, 200);
  await until('the dead letters are there', async () => {
    const [row] = await sql('SELECT uniqExact(id) AS n FROM events_dead_letter_queue');
    return row?.['n'] === 8 || undefined;
  });
  // Until that is saved they may be folded again, and would be taken then.
  await until('the books have them', async () => {
    const { dead_lettered, waiting, in_flight } = await books();
    return (dead_lettered['refused_by_postgres'] === 8 && waiting + in_flight === 0) || undefined;
  });
  await postgres.query('ALTER TABLE posthog_person DROP CONSTRAINT no_poison');

  t.match(await ask(door, 'list'), { code: 1, stderr: /no ClickHouse.*role loader/ });
  const asked = await Promise.all([ask(main, 'replay', '--all'), ask(main, 'replay', '--all')]);
  t.same(
    asked.map(({ code }) => code),
    [0, 0],
  );
  const replayed = asked.flatMap(({ lines }) => lines).filter(({ outcome }) => outcome === 'replayed');
  t.same(replayed.map(({ event_uuid }) => event_uuid).toSorted(), uuids.toSorted());
  await until('their rows are there', async () => {
    const [row] = await sql('SELECT uniqExact(uuid) AS n FROM events');
    return row?.['n'] === 8 || undefined;
  });
  const rows = await sql('SELECT DISTINCT distinct_id, toString(timestamp) AS at FROM events ORDER BY at');
  t.same(
    rows,
    batch.map(({ distinct_id }, n) => ({ distinct_id, at: `2026-01-02 03:04:0${n}.000000` })),
  );
  const settled = await until('the books show it', async () => {
    const now = await books();
    return now.waiting + now.in_flight === 0 && now.rows === 8 ? now : undefined;
  });
  t.match(settled, { acknowledged: 16, rows: 8, dead_lettered: { refused_by_postgres: 8 }, imbalance: 0 });
});
