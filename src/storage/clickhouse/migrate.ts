/** Makes ClickHouse's tables where they are absent, and checks those that were there before. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../logger.ts';
import type { ClickHouse } from '../clickhouse-port.ts';
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
 * is ever altered. Rejects with the table and column when one that was there before cannot take what is written.
 */
export async function migrateClickHouse(clickhouse: ClickHouse, logger: Logger): Promise<void> {
  for (const { name, sql } of await readClickHouseMigrations()) {
    await clickhouse.command(sql);
    logger.debug({ migration: name }, 'ClickHouse migration');
  }
  const faults = await columnFaults(clickhouse);
  if (faults.length > 0) {
    throw new Error(
      `ClickHouse has tables that cannot take what Tributary writes; it never alters a table that exists. ${faults.join(' ')}`,
    );
  }
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
