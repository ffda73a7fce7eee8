/** Brings the database to the current version, and checks that PostHog's tables are as we need them. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';
import { connectClient, type Postgres } from './pool.ts';

/** The message names the file or the column, and what is wrong with it. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

interface Migration {
  readonly number: number;
  readonly file: string;
}

const MIGRATIONS = fileURLToPath(new URL('migrations', import.meta.url));
const FILE = /^(\d{4})_\w+\.sql$/;
/** Of `pg_advisory_lock`; any number that nobody else uses. */
const LOCK = 7_482_100_313;

const integer = ['integer', 'bigint'];
const text = ['character varying', 'text'];
const time = ['timestamp with time zone'];

/** Columns that are read or written, with the types that do. Others may be there as well. */
const NEEDED: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  posthog_team: {
    id: integer,
    uuid: ['uuid'],
    project_id: integer,
    name: text,
    api_token: text,
    anonymize_ips: ['boolean'],
    person_processing_opt_out: ['boolean'],
    created_at: time,
    updated_at: time,
  },
  posthog_person: {
    id: integer,
    team_id: integer,
    uuid: ['uuid'],
    created_at: time,
    properties: ['jsonb'],
    properties_last_updated_at: ['jsonb'],
    properties_last_operation: ['jsonb'],
    is_identified: ['boolean'],
    version: integer,
  },
  posthog_persondistinctid: {
    id: integer,
    team_id: integer,
    person_id: integer,
    distinct_id: text,
    version: integer,
  },
  posthog_group: {
    id: integer,
    team_id: integer,
    group_key: text,
    group_type_index: integer,
    group_properties: ['jsonb'],
    created_at: time,
    properties_last_updated_at: ['jsonb'],
    properties_last_operation: ['jsonb'],
    version: integer,
  },
  posthog_grouptypemapping: {
    team_id: integer,
    project_id: integer,
    group_type: text,
    group_type_index: integer,
  },
};

async function findMigrations(directory: string): Promise<readonly Migration[]> {
  const migrations = (await readdir(directory)).sort().flatMap((file) => {
    const [, number] = FILE.exec(file) ?? [];
    return number === undefined ? [] : [{ number: Number(number), file }];
  });
  for (const [index, { number, file }] of migrations.entries()) {
    const before = migrations[index - 1];
    if (before?.number === number)
      throw new MigrationError(`${before.file} and ${file} have the same number`);
  }
  return migrations;
}

async function pending(client: pg.Client, directory: string): Promise<readonly Migration[]> {
  const { rows: table } = await client.query<{ there: boolean }>(
    "SELECT to_regclass('tributary_migration') IS NOT NULL AS there",
  );
  const done = new Set<number>();
  if (table[0]?.there) {
    const { rows } = await client.query<{ number: number }>('SELECT number FROM tributary_migration');
    for (const { number } of rows) done.add(number);
  }
  return (await findMigrations(directory)).filter(({ number }) => !done.has(number));
}

async function apply(client: pg.Client, directory: string, { number, file }: Migration): Promise<void> {
  const sql = await readFile(join(directory, file), 'utf8');
  try {
    await client.query('BEGIN');
    await client.query(sql);
    await client.query('INSERT INTO tributary_migration (number, file) VALUES ($1, $2)', [number, file]);
    await client.query('COMMIT');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MigrationError(`migration ${file} failed and changed nothing: ${reason}`, { cause: error });
  }
}

async function verify(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ table_name: string; column_name: string; data_type: string }>(
    `SELECT table_name, column_name, data_type FROM information_schema.columns
     WHERE table_schema = current_schema() AND table_name = ANY($1)`,
    [Object.keys(NEEDED)],
  );
  const types = new Map(rows.map((row) => [`${row.table_name}.${row.column_name}`, row.data_type]));
  const faults = Object.entries(NEEDED).flatMap(([table, columns]) =>
    Object.entries(columns).flatMap(([column, accepted]) => {
      const name = `${table}.${column}`;
      const is = types.get(name);
      if (is !== undefined && accepted.includes(is)) return [];
      return [`${name} is ${is ?? 'missing'}, needed is ${accepted.join(' or ')}`];
    }),
  );
  if (faults.length > 0) throw new MigrationError(`the database does not fit: ${faults.join('; ')}`);
}

async function withClient<Result>(
  postgres: Postgres,
  run: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = await connectClient(postgres.url, { statementTimeoutMs: 0, lockTimeoutMs: 0 });
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

/** Names of the files that `migratePostgres` would run. */
export function pendingMigrations(postgres: Postgres, directory = MIGRATIONS): Promise<readonly string[]> {
  return withClient(postgres, async (client) =>
    (await pending(client, directory)).map((migration) => migration.file),
  );
}

/**
 * Runs the files `<4 digits>_<name>.sql` of `directory` in order, each once and in a transaction of its own. Of
 * several processes at once, one does the work and the others wait for it. Then rejects with `MigrationError`
 * if a table that was there before lacks a column that we use, or has it in another type.
 */
export function migratePostgres(postgres: Postgres, logger: Logger, directory = MIGRATIONS): Promise<void> {
  return withClient(postgres, async (client) => {
    // The lock ends with the connection.
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    // Waiting for a table's lock holds up everybody who comes after.
    await client.query(`SET lock_timeout = ${LIMITS.postgres.lockTimeoutMs}`);
    await client.query(
      `CREATE TABLE IF NOT EXISTS tributary_migration (
         number integer PRIMARY KEY, file text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    for (const migration of await pending(client, directory)) {
      await apply(client, directory, migration);
      logger.info({ file: migration.file }, 'migrated Postgres');
    }
    await verify(client);
  });
}
