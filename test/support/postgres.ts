/** A real Postgres for tests: one embedded server for each test process, a migrated database for each call. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tap, { type Test } from 'tap';
import { startEmbeddedPostgres, stopOrphanedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { migratePostgres } from '../../src/storage/postgres/migrate.ts';
import { openPostgres, type Postgres } from '../../src/storage/postgres/pool.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

export interface TestPostgres {
  readonly url: string;
  readonly postgres: Postgres;
}

interface Server {
  readonly owner: Postgres;
  databaseUrl(name: string): string;
}

const FOLDER = /^tributary-postgres-(\d+)-/;
const TEMPLATE = 'migrated';
let server: Promise<Server> | undefined;

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

/** A test process that was killed could not stop its server. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(FOLDER.exec(name)?.[1]);
    if (!pid || !isGone(pid)) continue;
    const dir = join(tmpdir(), name);
    await stopOrphanedPostgres(dir).catch(() => {});
    await rm(dir, { recursive: true, force: true }).catch(() => {});
  }
}

async function migrateTemplate(url: string): Promise<void> {
  const postgres = openPostgres({ url, logger: quietLogger });
  await migratePostgres(postgres, quietLogger);
  await postgres.close();
}

async function startServer(): Promise<Server> {
  await sweep();
  const dir = await mkdtemp(join(tmpdir(), `tributary-postgres-${process.pid}-`));
  const { url, stop } = await startEmbeddedPostgres({ dir, logger: quietLogger });
  const owner = openPostgres({ url, logger: quietLogger });
  tap.teardown(async () => {
    await owner.close();
    await stop();
    await rm(dir, { recursive: true, force: true });
  });
  const databaseUrl = (name: string): string => url.replace(/postgres$/, name);
  await owner.query(`CREATE DATABASE ${TEMPLATE}`);
  await migrateTemplate(databaseUrl(TEMPLATE));
  return { owner, databaseUrl };
}

async function makeDatabase(t: Test, template: string): Promise<TestPostgres> {
  server ??= startServer();
  const { owner, databaseUrl } = await server;
  const name = `test_${randomBytes(6).toString('hex')}`;
  await owner.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = databaseUrl(name);
  const postgres = openPostgres({ url, logger: quietLogger });
  t.teardown(async () => {
    await postgres.close();
    await owner.query(`DROP DATABASE ${name} WITH (FORCE)`);
  });
  return { url, postgres };
}

/** A migrated database without rows, gone when `t` ends. */
export function withPostgres(t: Test): Promise<TestPostgres> {
  return makeDatabase(t, TEMPLATE);
}

/** A database without tables, gone when `t` ends. */
export function withEmptyPostgres(t: Test): Promise<TestPostgres> {
  return makeDatabase(t, 'template1');
}
