/** The stores that the roles of this process need, brought up to date. */
import type { Config } from '../config.ts';
import type { Environment } from '../environment.ts';
import type { Parts } from '../parts.ts';
import { migrateClickHouse } from '../storage/clickhouse/migrate.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import { migratePostgres } from '../storage/postgres/migrate.ts';
import { ensureDevProject } from '../storage/postgres/projects.ts';
import {
  engineOptions,
  opensClickHouse,
  type StartedLog,
  type StartedPostgres,
  startClickHouse,
  startLog,
  startPostgres,
} from '../stores.ts';

export interface Stores {
  readonly postgres: StartedPostgres;
  readonly log: StartedLog;
  /** `undefined`: another process has it. */
  readonly clickhouse: ClickHouse | undefined;
}

export async function openStores(config: Config, parts: Parts, environment: Environment): Promise<Stores> {
  const log = answering('Kafka', 'KAFKA_HOSTS', () => startLog(config, parts, environment));
  const [postgres, clickhouse] = await Promise.all([
    preparePostgres(config, parts, environment),
    prepareClickHouse(config, parts, environment, log),
    log,
  ]);
  return { postgres, clickhouse, log: await log };
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

/**
 * The loader cannot do without. Where ClickHouse takes the rows from Kafka by itself, every process can be asked
 * about them, but none of them waits for it. `log`: Kafka's tables need its topics.
 */
async function prepareClickHouse(
  config: Config,
  parts: Parts,
  { logger }: Environment,
  log: Promise<unknown>,
): Promise<ClickHouse | undefined> {
  if (!opensClickHouse(config)) return undefined;
  const engine = engineOptions(config);
  const clickhouse = await startClickHouse(config, parts);
  if (engine !== undefined) await log;
  try {
    await answering('ClickHouse', 'CLICKHOUSE_URL', () => migrateClickHouse(clickhouse, logger, engine));
  } catch (error) {
    if (config.roles.includes('loader') || !(error instanceof NoAnswerError)) throw error;
    logger.warn(
      { error: error.message },
      'the tables of ClickHouse were not looked at: `npm run migrate` makes them, as does the next start',
    );
  }
  return clickhouse;
}

class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/** Says whom a refused connection was meant for, and which setting names it. */
async function answering<Result>(name: string, setting: string, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const isNoAnswer = /ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|timeout/i.test(message);
    if (!isNoAnswer || message.includes(setting)) throw error;
    throw new NoAnswerError(`${name} does not answer: check ${setting} (${message})`, { cause: error });
  }
}
