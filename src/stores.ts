/** Opens the stores that the settings name: embedded ones in the data folder, or servers. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Config, ConfigError } from './config.ts';
import type { Health } from './console/checks.ts';
import type { Environment } from './environment.ts';
import { LIMITS } from './limits.ts';
import type { Logger } from './logger.ts';
import type { Parts } from './parts.ts';
import { openClickHouse } from './storage/clickhouse/clickhouse.ts';
import type { KafkaEngineOptions } from './storage/clickhouse/kafka-engine.ts';
import type { ClickHouse } from './storage/clickhouse-port.ts';
import { keepRunning } from './storage/embedded/postgres-keeper.ts';
import { startEmbeddedPostgres } from './storage/embedded/postgres-server.ts';
import type { EventLog } from './storage/event-log.ts';
import type { KafkaConnection } from './storage/kafka/log.ts';
import { openPostgres, type Postgres } from './storage/postgres/pool.ts';

/** The folders of the data folder, one for each embedded store. */
export const STORE_FOLDERS = { postgres: 'postgres', clickHouse: 'clickhouse', log: 'log' } as const;

/** Whether a store of this process lives in the data folder: then the folder is this process's alone. */
export function usesDataDir({ kafkaHosts, databaseUrl, clickHouseUrl, roles }: Config): boolean {
  if (kafkaHosts === undefined || databaseUrl === undefined) return true;
  return clickHouseUrl === undefined && roles.includes('loader');
}

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

/** Whether this process has to do with ClickHouse: as the loader, or to look after what reads the topics there. */
export function opensClickHouse({ roles, clickHouseIngestion }: Config): boolean {
  return roles.includes('loader') || clickHouseIngestion === 'kafka-engine';
}

/** How ClickHouse reaches the topics, where it reads them itself. */
export function engineOptions(config: Config): KafkaEngineOptions | undefined {
  if (config.clickHouseIngestion !== 'kafka-engine') return undefined;
  return { hosts: config.kafkaHosts ?? [], prefix: config.kafkaPrefix };
}

export interface StartedLog {
  readonly log: EventLog;
  /** Not ok while nothing can be appended. */
  readonly ready: () => Health;
}

export function startLog(config: Config, parts: Parts, environment: Environment): Promise<StartedLog> {
  const isEmbedded = config.kafkaHosts === undefined;
  return parts.start(
    isEmbedded ? 'embedded log' : 'Kafka',
    () => (isEmbedded ? openEmbedded(config, environment) : openKafka(config, environment)),
    ({ log }) => log.close(),
  );
}

/** Each kind of log is loaded only where it is used. */
async function openEmbedded(config: Config, { clock, logger }: Environment): Promise<StartedLog> {
  const { openEmbeddedLog } = await import('./storage/embedded/log.ts');
  const dir = join(config.dataDir, STORE_FOLDERS.log);
  await makePrivate(dir);
  const log = await openEmbeddedLog({ dir, partitions: config.embeddedPartitions, clock, logger });
  const { bytesMax } = LIMITS.log;
  const full = () => (log.usedBytes() < bytesMax ? undefined : `full: ${bytesMax} bytes wait to be read`);
  return { log, ready: () => healthOf(log.trouble() ?? full()) };
}

async function openKafka(config: Config, { clock, logger, metrics }: Environment): Promise<StartedLog> {
  const { openKafkaLog } = await import('./storage/kafka/log.ts');
  const log = await openKafkaLog({
    connection: kafkaConnection(config),
    prefix: config.kafkaPrefix,
    partitions: config.kafkaTopicPartitions,
    clock,
    logger,
    metrics,
  }).catch((error: unknown) => {
    // All of its lines: there may be commands to run among them.
    throw new ConfigError([error instanceof Error ? error.message : String(error)]);
  });
  return { log, ready: () => healthOf(log.trouble()) };
}

function kafkaConnection(config: Config): KafkaConnection {
  return {
    hosts: config.kafkaHosts ?? [],
    securityProtocol: config.kafkaSecurityProtocol,
    saslMechanism: config.kafkaSaslMechanism,
    saslUser: config.kafkaSaslUser,
    saslPassword: config.kafkaSaslPassword,
  };
}

/** Events are nobody else's to read on this machine. */
async function makePrivate(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
}
