/** The whole system in one process: which parts there are, and the order in which they start. */

import { TRANSFORMS } from './actors/transforms.ts';
import { startWorker, type Worker } from './actors/worker.ts';
import { assertFree, urlOf } from './address.ts';
import { type Capture, startCapture } from './capture/server.ts';
import { sleep } from './clock.ts';
import type { Config } from './config.ts';
import { booksMetrics } from './console/books-metrics.ts';
import { asking, type Health, named } from './console/checks.ts';
import { type ConsoleSources, startConsole } from './console/server.ts';
import { recordDoorCounts } from './door-counts.ts';
import type { Environment } from './environment.ts';
import { LIMITS } from './limits.ts';
import { type Loader, startLoader } from './loader/loader.ts';
import type { Parts } from './parts.ts';
import { migrateClickHouse } from './storage/clickhouse/migrate.ts';
import type { ClickHouse } from './storage/clickhouse-port.ts';
import { lockDataDir, writeRunning } from './storage/embedded/data-dir.ts';
import type { EmbeddedLog } from './storage/embedded/log.ts';
import { readBooks, recordDoor, recordRefusedRow } from './storage/postgres/books.ts';
import { migratePostgres } from './storage/postgres/migrate.ts';
import { createPersonStore } from './storage/postgres/person-store.ts';
import type { Postgres } from './storage/postgres/pool.ts';
import { DEV_PROJECT, ensureDevProject } from './storage/postgres/projects.ts';
import { readOnlyQuery } from './storage/postgres/query.ts';
import { createTeamStore } from './storage/postgres/teams.ts';
import { type StartedPostgres, startClickHouse, startLog, startPostgres } from './stores.ts';

export interface System {
  readonly captureUrl: string;
  readonly consoleUrl: string;
  /** Of the development project, where there is one. */
  readonly token: string | undefined;
}

const MIB = 1024 * 1024;
const CAPTURE_SETTINGS = { host: 'CAPTURE_HOST', port: 'CAPTURE_PORT' };
const CONSOLE_SETTINGS = { host: 'CONSOLE_HOST', port: 'CONSOLE_PORT' };

/**
 * Resolves once SDKs can post. `parts` gets everything that has been started, also when this rejects: stop it then.
 * Rejects with an error whose message says what to do.
 */
export async function startSystem(config: Config, parts: Parts, environment: Environment): Promise<System> {
  const { clock, logger, metrics } = environment;
  await assertFree(config.captureHost, config.capturePort, CAPTURE_SETTINGS);
  await assertFree(config.consoleHost, config.consolePort, CONSOLE_SETTINGS);
  await parts.start(
    'data folder',
    () => lockDataDir(config.dataDir),
    (lock) => lock.release(),
  );
  const [{ postgres, ...postgresServer }, clickhouse, log] = await Promise.all([
    preparePostgres(config, parts, environment),
    prepareClickHouse(config, parts, environment),
    startLog(config, parts, environment),
  ]);
  const teams = createTeamStore(postgres, clock);

  // In the order of the way back: what reads starts before what writes, and stops after it.
  const loader = await parts.start(
    'loader',
    () =>
      startLoader({
        log,
        clickhouse,
        clock,
        metrics,
        logger,
        async onRowRefused({ topic, source, reason }) {
          // Only an event's row is a fate of its record.
          if (topic !== 'clickhouse_events_json' || source === undefined) return;
          await recordRefusedRow(postgres, log.identity(), source, reason);
        },
      }),
    (started) => started.close(),
  );
  const worker = await parts.start(
    'worker',
    () =>
      startWorker({
        ...environment,
        log,
        teams,
        persons: createPersonStore(postgres, { witness: config.witness }),
        limits: LIMITS.worker,
        transforms: TRANSFORMS,
        personCacheBytesMax: config.personCacheMb * MIB,
        holdMs: config.bufferConversionSeconds * 1000,
        holdBytesMax: config.holdMb * MIB,
        // Uncaught, it ends the process.
        onFault: (error) => {
          setImmediate(() => {
            throw error;
          });
        },
      }),
    (started) => started.close(),
  );
  // Else events that come at once meet partitions one after another, in no order that anybody would expect.
  await Promise.race([worker.taken(), sleep(clock, LIMITS.process.takeTimeoutMs)]);
  const capture = await startCapturePart(config, parts, environment, { log, teams, postgres });
  const captureUrl = urlOf(config.captureHost, capture.port);
  const sources = consoleSources(environment, { postgres, postgresServer, clickhouse, log, loader, worker });
  const console = await parts.start(
    'console',
    () =>
      startConsole({
        host: config.consoleHost,
        port: config.consolePort,
        token: config.consoleToken,
        captureUrl,
        sources,
        logger,
      }),
    (started) => started.close(),
  );
  await writeRunning(config.dataDir, {
    pid: process.pid,
    captureHost: config.captureHost,
    capturePort: capture.port,
    consoleHost: config.consoleHost,
    consolePort: console.port,
    ...(config.databaseUrl === undefined ? { postgresUrl: postgres.url } : {}),
  });
  return {
    captureUrl,
    consoleUrl: urlOf(config.consoleHost, console.port),
    token: config.devProject ? DEV_PROJECT.token : undefined,
  };
}

async function preparePostgres(
  config: Config,
  parts: Parts,
  { logger }: Environment,
): Promise<StartedPostgres> {
  const started = await startPostgres(config, parts, logger);
  await answering('PostgreSQL', 'DATABASE_URL', async () => {
    await migratePostgres(started.postgres, logger);
    if (config.devProject) await ensureDevProject(started.postgres);
  });
  return started;
}

async function prepareClickHouse(config: Config, parts: Parts, { logger }: Environment): Promise<ClickHouse> {
  const clickhouse = await startClickHouse(config, parts);
  await answering('ClickHouse', 'CLICKHOUSE_URL', () => migrateClickHouse(clickhouse, logger));
  return clickhouse;
}

/** Says whom a refused connection was meant for, and which setting names it. */
async function answering(name: string, setting: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!/ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|timeout/i.test(message)) throw error;
    throw new Error(`${name} does not answer: check ${setting} (${message})`, { cause: error });
  }
}

/** Capture, and the notes of what it turned away, which end after it. */
async function startCapturePart(
  config: Config,
  parts: Parts,
  { clock, logger, metrics, newUuid }: Environment,
  stores: {
    readonly log: EmbeddedLog;
    readonly postgres: Postgres;
    readonly teams: ReturnType<typeof createTeamStore>;
  },
): Promise<Capture> {
  const { capture } = await parts.start(
    'capture',
    async () => {
      const started = await startCapture({
        host: config.captureHost,
        port: config.capturePort,
        log: stores.log,
        teams: stores.teams,
        trustedProxies: config.trustedProxies,
        clock,
        newUuid,
        metrics,
        logger,
      });
      const recorder = recordDoorCounts({
        counts: () => started.door(),
        record: (added) => recordDoor(stores.postgres, added),
        clock,
        logger,
      });
      return { capture: started, recorder };
    },
    async (started) => {
      await started.capture.close();
      await started.recorder.close();
    },
  );
  return capture;
}

interface Shown {
  readonly postgres: Postgres;
  readonly postgresServer: Pick<StartedPostgres, 'health' | 'ready'>;
  readonly clickhouse: ClickHouse;
  readonly log: EmbeddedLog;
  readonly loader: Loader;
  readonly worker: Worker;
}

function consoleSources({ clock, metrics, logger }: Environment, shown: Shown): ConsoleSources {
  const { postgres, postgresServer, clickhouse, log, loader, worker } = shown;
  const publish = booksMetrics(metrics);
  const askPostgres = asking('Postgres', clock, async () => {
    const { ok, detail } = postgresServer.ready();
    if (!ok) throw new Error(detail);
    await postgres.query('SELECT 1');
  });
  const askClickHouse = asking('ClickHouse', clock, () => clickhouse.ping());
  return {
    health: () => [
      named('worker', worker.health()),
      named('loader', loader.health()),
      named('PostgreSQL', postgresServer.health()),
    ],
    ready: async () => [
      named('worker', worker.ready()),
      named('loader', loader.ready()),
      named('log', logState(log)),
      ...(await Promise.all([askPostgres(), askClickHouse()])),
    ],
    async metrics() {
      const books = readBooks(postgres, log).then(publish);
      await books.catch((error: unknown) =>
        logger.warn({ error: String(error) }, 'the books could not be read for the metrics'),
      );
      return metrics.text();
    },
    books: () => readBooks(postgres, log),
    held: (eventUuid) => worker.held(eventUuid),
    async query(database, sql, signal) {
      if (database === 'clickhouse') return clickhouse.query(sql, signal);
      const rows = await readOnlyQuery(postgres, sql);
      return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    },
  };
}

function logState(log: EmbeddedLog): Health {
  const { bytesMax } = LIMITS.log;
  const full = log.usedBytes() < bytesMax ? undefined : `full: ${bytesMax} bytes wait to be read`;
  const detail = log.trouble() ?? full;
  return detail === undefined ? { ok: true } : { ok: false, detail };
}
