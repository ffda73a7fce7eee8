/** The embedded stores in a folder that is gone afterwards. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/clock.ts';
import { silentLogger } from '../src/logger.ts';
import type { Parts } from '../src/parts.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../src/storage/embedded/log.ts';
import { startEmbeddedPostgres } from '../src/storage/embedded/postgres-server.ts';
import type { EventLog } from '../src/storage/event-log.ts';
import { migratePostgres } from '../src/storage/postgres/migrate.ts';
import { openPostgres, type Postgres } from '../src/storage/postgres/pool.ts';
import { createProject } from '../src/storage/postgres/projects.ts';
import type { Topic } from '../src/storage/topics.ts';
import { TOKEN } from './events.ts';

export const PARTITIONS = 4;
const POLL_MS = 5;

export function tempDir(parts: Parts): Promise<string> {
  return parts.start(
    'folder',
    () => mkdtemp(join(tmpdir(), 'tributary-bench-')),
    (dir) => rm(dir, { recursive: true, force: true }),
  );
}

export function startLog(parts: Parts, dir: string): Promise<EmbeddedLog> {
  const options = { dir: join(dir, 'log'), partitions: PARTITIONS, clock: systemClock, logger: silentLogger };
  return parts.start(
    'log',
    () => openEmbeddedLog(options),
    (log) => log.close(),
  );
}

export interface BenchPostgres {
  readonly postgres: Postgres;
  /** Process id of the server; its sessions are its children. */
  readonly pid: number;
}

/** Migrated, without rows. */
export async function startPostgres(parts: Parts, dir: string): Promise<BenchPostgres> {
  const folder = join(dir, 'postgres');
  const { url } = await parts.start(
    'Postgres',
    () => startEmbeddedPostgres({ dir: folder, logger: silentLogger }),
    (server) => server.stop(),
  );
  const postgres = await parts.start(
    'connections',
    async () => openPostgres({ url, logger: silentLogger }),
    (pool) => pool.close(),
  );
  await migratePostgres(postgres, silentLogger);
  const [pid] = (await readFile(join(folder, 'pgdata', 'postmaster.pid'), 'utf8')).split('\n');
  return { postgres, pid: Number(pid) };
}

/** Another database on the same server, migrated, with the project of the events. */
export async function startDatabase(parts: Parts, server: Postgres, name: string): Promise<Postgres> {
  await server.query(`CREATE DATABASE ${name}`);
  const target = new URL(server.url);
  target.pathname = `/${name}`;
  const postgres = await parts.start(
    `connections to ${name}`,
    async () => openPostgres({ url: target.href, logger: silentLogger }),
    (pool) => pool.close(),
  );
  await migratePostgres(postgres, silentLogger);
  await createBenchProject(postgres);
  return postgres;
}

/** The project that the events are of, for a worker that looks for it. */
export async function createBenchProject(postgres: Postgres): Promise<void> {
  await createProject(postgres, { name: 'bench', token: TOKEN });
}

/** Records that the topic ever had. */
export async function recordCount(log: EventLog, topic: Topic): Promise<number> {
  return (await log.offsets(topic)).reduce((sum, { end }) => sum + end, 0);
}

/** Resolves once the condition holds. */
export async function until(holds: () => boolean | Promise<boolean>, pollMs = POLL_MS): Promise<void> {
  while (!(await holds())) {
    await new Promise((resolve) => {
      setTimeout(resolve, pollMs);
    });
  }
}
