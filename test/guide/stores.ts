/** The real Postgres and the real ClickHouse, one of each for a file, and empty for every test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tap from 'tap';
import { systemClock } from '../../src/clock.ts';
import { startLoader } from '../../src/loader/loader.ts';
import { Metrics } from '../../src/metrics.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import type { EventLog } from '../../src/storage/event-log.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { CLICKHOUSE_TOPICS } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { withPostgres } from '../support/postgres.ts';
import { until } from './seen.ts';

const TABLES = [
  'events',
  'person',
  'person_distinct_id2',
  'person_distinct_id_overrides',
  'groups',
  'ingestion_warnings',
  'events_dead_letter_queue',
];

let database: ReturnType<typeof withPostgres> | undefined;

/** One for each file; every system begins with empty tables. */
export async function emptyPostgres(): Promise<Postgres> {
  database ??= withPostgres(tap);
  const { postgres } = await database;
  const { rows } = await postgres.query<{ tables: string }>(
    `SELECT string_agg(quote_ident(tablename), ', ') AS tables FROM pg_tables
     WHERE schemaname = 'public' AND tablename <> 'tributary_migration'`,
  );
  await postgres.query(`TRUNCATE ${rows[0]?.tables} RESTART IDENTITY`);
  return postgres;
}

/** chdb has one data folder for each process. */
let clickhouse: Promise<ClickHouse> | undefined;

async function embeddedClickHouse(): Promise<ClickHouse> {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-guide-clickhouse-'));
  const opened = await openClickHouse({ dir });
  await migrateClickHouse(opened, quietLogger);
  tap.teardown(async () => {
    await opened.close();
    await rm(dir, { recursive: true, force: true });
  });
  return opened;
}

/** An empty ClickHouse with everything that is on the log's topics, brought there by the real loader. */
export async function loadedClickHouse(log: EventLog): Promise<ClickHouse> {
  clickhouse ??= embeddedClickHouse();
  const target = await clickhouse;
  for (const table of TABLES) await target.command(`TRUNCATE TABLE ${table}`);
  const loader = await startLoader({
    log,
    clickhouse: target,
    clock: systemClock,
    metrics: new Metrics(),
    logger: quietLogger,
    onRowRefused: async ({ detail }) => {
      throw new Error(detail);
    },
  });
  await until('everything is in ClickHouse', () => isLoaded(log));
  await loader.close();
  return target;
}

async function isLoaded(log: EventLog): Promise<boolean> {
  for (const topic of CLICKHOUSE_TOPICS) {
    const committed = await log.committed('loader', topic);
    const ends = await log.offsets(topic);
    if (ends.some(({ partition, end }) => (committed.get(partition) ?? 0) < end)) return false;
  }
  return true;
}
