/** Makes ClickHouse's tables where they are absent, and checks those that were there before. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../logger.ts';
import type { ClickHouse } from '../clickhouse-port.ts';
import { type KafkaEngineOptions, kafkaEngineStatements } from './kafka-engine.ts';
import { COLUMN_TYPES, WRITTEN_COLUMNS } from './tables.ts';

export interface ClickHouseMigration {
  /** `0001_events`. */
  readonly name: string;
  /** One statement that changes nothing the second time. */
  readonly sql: string;
}

const DIRECTORY = join(import.meta.dirname, 'migrations');

export async function readClickHouseMigrations(): Promise<readonly ClickHouseMigration[]> {
  const files = (await readdir(DIRECTORY)).filter((file) => /^\d{4}_\w+\.sql$/.test(file)).sort();
  return Promise.all(
    files.map(async (file) => ({
      name: file.replace('.sql', ''),
      sql: await readFile(join(DIRECTORY, file), 'utf8'),
    })),
  );
}

/**
 * Runs every migration, each of them `… IF NOT EXISTS`, so that a second run and a second process do no harm; no table
 * is ever altered. Rejects with the table and column when one that was there before cannot take what is written. With
 * `engine` ClickHouse reads the topics itself from then on.
 */
export async function migrateClickHouse(
  clickhouse: ClickHouse,
  logger: Logger,
  engine?: KafkaEngineOptions,
): Promise<void> {
  const run = async (migrations: readonly ClickHouseMigration[]): Promise<void> => {
    for (const { name, sql } of migrations) {
      await clickhouse.command(sql);
      logger.debug({ migration: name }, 'ClickHouse migration');
    }
  };
  await run(await readClickHouseMigrations());
  const faults = await columnFaults(clickhouse);
  if (faults.length > 0) {
    throw new Error(
      `ClickHouse has tables that cannot take what Tributary writes; it never alters a table that exists. ${faults.join(' ')}`,
    );
  }
  if (engine === undefined) return;
  await run(kafkaEngineStatements(engine));
  await warnOfPartitionLimit(clickhouse, logger);
}

const NO_PARTITION_LIMIT = `SELECT count() AS n FROM system.settings
WHERE name IN ('max_partitions_per_insert_block', 'throw_on_max_partitions_per_insert_block') AND value = '0'`;

/** The loader says with each insert that any number of months may come at once; here only the server can. */
async function warnOfPartitionLimit(clickhouse: ClickHouse, logger: Logger): Promise<void> {
  if ((await clickhouse.query(NO_PARTITION_LIMIT)) !== '{"n":0}\n') return;
  logger.warn(
    { setting: 'throw_on_max_partitions_per_insert_block' },
    'ClickHouse stops reading when events of more than 100 months come within a second: set this to 0 in the default profile of the server',
  );
}

const COLUMNS = `SELECT table, name, type FROM system.columns
WHERE database = currentDatabase() AND default_kind NOT IN ('MATERIALIZED', 'ALIAS')`;

async function columnFaults(clickhouse: ClickHouse): Promise<readonly string[]> {
  const types = new Map<string, string>();
  for (const line of (await clickhouse.query(COLUMNS)).split('\n').filter(Boolean)) {
    const { table, name, type } = JSON.parse(line) as { table: string; name: string; type: string };
    types.set(`${table}.${name}`, type);
  }
  const faults: string[] = [];
  for (const [table, columns] of Object.entries(WRITTEN_COLUMNS)) {
    for (const [name, kind] of Object.entries(columns)) {
      const type = types.get(`${table}.${name}`);
      if (type === undefined) {
        faults.push(`Table ${table} has no column ${name} (${kind}) that can be written.`);
      } else if (!COLUMN_TYPES[kind].test(bare(type))) {
        faults.push(`Column ${table}.${name} is ${type}, which cannot take ${kind}.`);
      }
    }
  }
  return faults;
}

function bare(type: string): string {
  const inner = /^(?:Nullable|LowCardinality)\((.*)\)$/.exec(type)?.[1];
  return inner === undefined ? type : bare(inner);
}
