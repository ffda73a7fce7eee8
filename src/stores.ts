/** Opens the stores that the settings name: embedded ones in the data folder, or servers. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import type { Health } from './console/checks.ts';
import type { Environment } from './environment.ts';
import type { Logger } from './logger.ts';
import type { Parts } from './parts.ts';
import { openClickHouse } from './storage/clickhouse/clickhouse.ts';
import type { ClickHouse } from './storage/clickhouse-port.ts';
import { type EmbeddedLog, openEmbeddedLog } from './storage/embedded/log.ts';
import { keepRunning } from './storage/embedded/postgres-keeper.ts';
import { startEmbeddedPostgres } from './storage/embedded/postgres-server.ts';
import { openPostgres, type Postgres } from './storage/postgres/pool.ts';

/** The folders of the data folder, one for each embedded store. */
export const STORE_FOLDERS = { postgres: 'postgres', clickHouse: 'clickhouse', log: 'log' } as const;

export interface StartedPostgres {
  readonly postgres: Postgres;
  /** Not ok when only a restart brings it back. */
  readonly health: () => Health;
  /** Not ok while an embedded server that has ended is started again. */
  readonly ready: () => Health;
}

export async function startPostgres(config: Config, parts: Parts, logger: Logger): Promise<StartedPostgres> {
  if (config.databaseUrl !== undefined) {
    const url = config.databaseUrl;
    const postgres = await parts.start(
      'Postgres',
      async () => openPostgres({ url, logger }),
      (started) => started.close(),
    );
    return { postgres, health: () => OK, ready: () => OK };
  }
  const dir = join(config.dataDir, STORE_FOLDERS.postgres);
  const { kept, postgres } = await parts.start(
    'embedded PostgreSQL',
    async () => {
      const server = await startEmbeddedPostgres({ dir, logger });
      const postgres = openPostgres({ url: server.url, logger });
      return { server, kept: keepRunning(server, logger), postgres };
    },
    async (started) => {
      await started.kept.close();
      await started.postgres.close();
      await started.server.stop();
    },
  );
  return { postgres, health: () => healthOf(kept.needsRestart()), ready: () => healthOf(kept.trouble()) };
}

const OK: Health = { ok: true };
const healthOf = (detail: string | undefined): Health => (detail === undefined ? OK : { ok: false, detail });

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
    async () => {
      if ('dir' in options) await makePrivate(options.dir);
      return openClickHouse(options);
    },
    (clickhouse) => clickhouse.close(),
  );
}

export function startLog(config: Config, parts: Parts, { clock, logger }: Environment): Promise<EmbeddedLog> {
  const dir = join(config.dataDir, STORE_FOLDERS.log);
  return parts.start(
    'embedded log',
    async () => {
      await makePrivate(dir);
      return openEmbeddedLog({ dir, partitions: config.embeddedPartitions, clock, logger });
    },
    (log) => log.close(),
  );
}

/** Events are nobody else's to read on this machine. */
async function makePrivate(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
}
