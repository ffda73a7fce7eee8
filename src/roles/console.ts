/** What the console shows of the roles that run here. */
import type { LagWatch } from '../actors/lag-watch.ts';
import type { Worker } from '../actors/worker.ts';
import { booksMetrics } from '../console/books-metrics.ts';
import { asking, type Check, type Health, named } from '../console/checks.ts';
import { DeadLetters } from '../console/dead-letters.ts';
import { answerDeadLetters, answerReplay } from '../console/dead-letters-route.ts';
import type { ConsoleSources } from '../console/server.ts';
import type { Environment } from '../environment.ts';
import type { Loader } from '../loader/loader.ts';
import type { RefusedWatch } from '../loader/refused-watch.ts';
import { type ClickHouse, QueryRefusedError } from '../storage/clickhouse-port.ts';
import { readBooks } from '../storage/postgres/books.ts';
import { readOnlyQuery } from '../storage/postgres/query.ts';
import type { CaptureRole } from './capture.ts';
import type { Stores } from './stores.ts';

export interface Running {
  readonly capture: CaptureRole | undefined;
  readonly worker: Worker | undefined;
  /** Where the worker is. */
  readonly lagWatch: LagWatch | undefined;
  readonly loader: Loader | undefined;
  /** Where ClickHouse reads the topics itself. */
  readonly refusedWatch: RefusedWatch | undefined;
}

export function consoleSources(
  { clock, metrics, logger }: Environment,
  stores: Stores,
  running: Running,
): ConsoleSources {
  const { worker, lagWatch, loader } = running;
  const { clickhouse, log } = stores;
  const { postgres } = stores.postgres;
  const publish = booksMetrics(metrics);
  const deadLetters = () => new DeadLetters(requireClickHouse(clickhouse), postgres);
  return {
    health: () => [
      ...(worker ? [named('worker', worker.health())] : []),
      ...(lagWatch ? [named('progress', healthOf(lagWatch.stalled()))] : []),
      ...(loader ? [named('loader', loader.health())] : []),
      named('PostgreSQL', stores.postgres.health()),
    ],
    ready: readiness(clock, stores, running),
    async metrics() {
      const books = readBooks(postgres, log.log).then(publish);
      await books.catch((error: unknown) =>
        logger.warn({ error: String(error) }, 'the books could not be read for the metrics'),
      );
      return metrics.text();
    },
    books: () => readBooks(postgres, log.log),
    held: (eventUuid) => worker?.held(eventUuid),
    deadLetters: async (asked) => answerDeadLetters(deadLetters(), asked),
    replayDeadLetters: async (body) =>
      answerReplay(deadLetters(), { log: log.log, postgres }, body, clock.now()),
    async query(database, sql, signal) {
      if (database === 'clickhouse') return requireClickHouse(clickhouse).query(sql, signal);
      const rows = await readOnlyQuery(postgres, sql);
      return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    },
  };
}

/**
 * Capture is ready while it can append, to the log or to its spool: a project that cannot be asked for is judged later. A
 * worker needs the log and Postgres, a loader the log and ClickHouse.
 */
function readiness(
  clock: Environment['clock'],
  { postgres: { postgres, ready }, log, clickhouse }: Stores,
  { capture, worker, loader, refusedWatch }: Running,
): () => Promise<readonly Check[]> {
  const askPostgres = asking('Postgres', clock, async () => {
    const { ok, detail } = ready();
    if (!ok) throw new Error(detail);
    await postgres.query('SELECT 1');
  });
  const askClickHouse = asking('ClickHouse', clock, async () => clickhouse?.ping());
  const logHealth = (): Health => {
    const own = log.ready();
    const isNeeded = worker !== undefined || loader !== undefined;
    return isNeeded && !own.ok ? own : (capture?.ready() ?? own);
  };
  return async () => {
    const asked = await Promise.all([
      ...(worker ? [askPostgres()] : []),
      ...(loader ? [askClickHouse()] : []),
    ]);
    return [
      ...(worker ? [named('worker', worker.ready())] : []),
      ...(loader ? [named('loader', loader.ready())] : []),
      named('log', logHealth()),
      ...asked,
      // ClickHouse's own work, which goes on without this process.
      ...(refusedWatch ? [{ ...named('ClickHouse by Kafka tables', refusedWatch.ready()), ok: true }] : []),
    ];
  };
}

const healthOf = (detail: string | undefined): Health =>
  detail === undefined ? { ok: true } : { ok: false, detail };

function requireClickHouse(clickhouse: ClickHouse | undefined): ClickHouse {
  if (clickhouse !== undefined) return clickhouse;
  throw new QueryRefusedError(
    'this process has no ClickHouse: ask the console of one that runs the role loader (CONSOLE_PORT), or the server itself (CLICKHOUSE_URL)',
  );
}
