/** Opens the stores that the settings name: embedded ones in the data folder, or servers. */
import { join } from 'node:path';
import type { Config } from './config.ts';
import type { Environment } from './environment.ts';
import type { Logger } from './logger.ts';
import type { Parts } from './parts.ts';
import { openClickHouse } from './storage/clickhouse/clickhouse.ts';
import type { ClickHouse } from './storage/clickhouse-port.ts';
import { type EmbeddedLog, openEmbeddedLog } from './storage/embedded/log.ts';
import { startEmbeddedPostgres } from './storage/embedded/postgres-server.ts';
import { openPostgres, type Postgres } from './storage/postgres/pool.ts';

/** The folders of the data folder, one for each embedded store. */
export const STORE_FOLDERS = { postgres: 'postgres', clickHouse: 'clickhouse', log: 'log' } as const;

export function startPostgres(config: Config, parts: Parts, logger: Logger): Promise<Postgres> {
  if (config.databaseUrl !== undefined) {
    const url = config.databaseUrl;
    return parts.start(
      'Postgres',
      async () => openPostgres({ url, logger }),
      (postgres) => postgres.close(),
    );
  }
  const dir = join(config.dataDir, STORE_FOLDERS.postgres);
  const started = parts.start(
    'embedded PostgreSQL',
    async () => {
      const server = await startEmbeddedPostgres({ dir, logger });
      return { server, postgres: openPostgres({ url: server.url, logger }) };
    },
    async ({ server, postgres }) => {
      await postgres.close();
      await server.stop();
    },
  );
  return started.then(({ postgres }) => postgres);
}

export function startClickHouse(config: Config, parts: Parts): Promise<ClickHouse> {
  const { clickHouseUrl: url } = config;
  const options =
    url === undefined
      ? { dir: join(config.dataDir, STORE_FOLDERS.clickHouse) }
      : {
          url,
          user: config.clickHouseUser,
          password: config.clickHousePassword ?? '',
          database: config.clickHouseDatabase,
        };
  return parts.start(
    url === undefined ? 'embedded ClickHouse' : 'ClickHouse',
    () => openClickHouse(options),
    (clickhouse) => clickhouse.close(),
  );
}

export function startLog(config: Config, parts: Parts, { clock, logger }: Environment): Promise<EmbeddedLog> {
  const dir = join(config.dataDir, STORE_FOLDERS.log);
  return parts.start(
    'embedded log',
    () => openEmbeddedLog({ dir, partitions: config.embeddedPartitions, clock, logger }),
    (log) => log.close(),
  );
}
