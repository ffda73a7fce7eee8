/**
 * Read-only queries of strangers (console, command line): each on a connection of its own, in a READ ONLY
 * transaction that is never committed.
 *
 * READ ONLY alone does not bind a superuser, who can read files, run programs and end other sessions from a SELECT.
 * So when Postgres is ours as a superuser (the embedded one is), the connection logs in as `tributary_reader`, which
 * may read the tables of this schema and nothing else. As it has logged in so, there is no role to go back to with
 * `set_config('role', …)`. Otherwise the query has the powers of the role in DATABASE_URL, in READ ONLY.
 */
import { createHmac } from 'node:crypto';
import pg from 'pg';
import { LIMITS } from '../../limits.ts';
import { QueryRefusedError } from '../clickhouse-port.ts';
import { connectClient, type Postgres, type SessionSettings } from './pool.ts';

export type SqlRow = Readonly<Record<string, unknown>>;

const { sqlTimeoutMs, sqlRowsMax, sqlAnswerBytesMax, sqlConcurrencyMax } = LIMITS.console;
const READER = 'tributary_reader';

/** Follows from the superuser's, so that several processes agree on it. */
function readerPassword(url: string): string {
  const { password } = new URL(url);
  if (password === '') {
    throw new QueryRefusedError(
      'queries are not run as a superuser without a password: give DATABASE_URL a role that is no superuser',
    );
  }
  return createHmac('sha256', password).update(READER).digest('hex');
}

async function makeReader(postgres: Postgres, password: string): Promise<void> {
  await postgres.transaction(async (transaction) => {
    // Two processes at once would disturb each other.
    await transaction.query('SELECT pg_advisory_xact_lock(hashtext($1))', [READER]);
    const { rowCount } = await transaction.query('SELECT FROM pg_roles WHERE rolname = $1', [READER]);
    if (rowCount === 0) await transaction.query(`CREATE ROLE ${READER}`);
    await transaction.query(
      `ALTER ROLE ${READER} LOGIN NOSUPERUSER NOINHERIT CONNECTION LIMIT ${2 * sqlConcurrencyMax}
       PASSWORD ${pg.escapeLiteral(password)}`,
    );
    await transaction.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${READER}`);
  });
}

async function chooseRole(postgres: Postgres): Promise<Partial<SessionSettings>> {
  const { rows } = await postgres.query<{ superuser: boolean }>(
    'SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user',
  );
  if (!rows[0]?.superuser) return {};
  const password = readerPassword(postgres.url);
  await makeReader(postgres, password);
  return { user: READER, password };
}

interface Queries {
  running: number;
  /** Chosen at the first query. */
  role: Promise<Partial<SessionSettings>> | undefined;
}
const queries = new WeakMap<Postgres, Queries>();

function queriesOf(postgres: Postgres): Queries {
  const known = queries.get(postgres) ?? { running: 0, role: undefined };
  queries.set(postgres, known);
  return known;
}

function bigint(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

const { BOOL, INT2, INT4, INT8, FLOAT4, FLOAT8, OID, JSON: JSON_TEXT, JSONB } = pg.types.builtins;
/** Arrays of boolean, integer, text and varchar, which have no names in `pg`. */
const ARRAYS = [1000, 1007, 1009, 1015];
const PARSED = new Set<number>([BOOL, INT2, INT4, FLOAT4, FLOAT8, OID, JSON_TEXT, JSONB, ...ARRAYS]);

/** What has no equal in JSON stays as Postgres prints it: times, `numeric`, large `bigint`s. */
function parserOf(type: number): (text: string) => unknown {
  if (type === INT8) return bigint;
  return PARSED.has(type) ? pg.types.getTypeParser(type, 'text') : (text) => text;
}

function read(client: pg.Client, sql: string): Promise<readonly SqlRow[]> {
  return new Promise((resolve, reject) => {
    const rows: SqlRow[] = [];
    let bytes = 0;
    const getTypeParser = (type: number) => {
      const parse = parserOf(type);
      return (text: string) => {
        bytes += text.length;
        return parse(text);
      };
    };
    // The extended protocol takes exactly one statement.
    const config = { text: sql, queryMode: 'extended', types: { getTypeParser } };
    const query = new pg.Query<SqlRow>(config);
    let tooMuch = false;
    query.on('row', (row) => {
      if (tooMuch) return;
      rows.push(row);
      tooMuch = rows.length > sqlRowsMax || bytes > sqlAnswerBytesMax;
      if (!tooMuch) return;
      reject(
        new QueryRefusedError(
          `the answer has more than ${sqlRowsMax} rows or ${sqlAnswerBytesMax} bytes: ask for less, with LIMIT or by adding up`,
        ),
      );
      // In the middle of an answer this cuts the connection.
      void client.end();
    });
    query.on('end', () => resolve(rows));
    query.on('error', (error) => {
      reject(
        error instanceof pg.DatabaseError ? new QueryRefusedError(error.message, { cause: error }) : error,
      );
    });
    client.query(query);
  });
}

/**
 * One read-only statement. Rejects with `QueryRefusedError` and Postgres' own message, or, when the answer would be
 * too large or too many queries run, ours. Rows hold JSON values; times are text in UTC.
 */
export async function readOnlyQuery(postgres: Postgres, sql: string): Promise<readonly SqlRow[]> {
  const state = queriesOf(postgres);
  if (state.running >= sqlConcurrencyMax) {
    throw new QueryRefusedError(`${state.running} queries are running already: try again in a moment`);
  }
  state.running += 1;
  let client: pg.Client | undefined;
  // Postgres keeps to the timeout itself; this is for one that has stopped.
  const timer = setTimeout(() => client?.end(), sqlTimeoutMs + LIMITS.postgres.answerTimeoutMs);
  try {
    state.role ??= chooseRole(postgres);
    const role = await state.role.catch((error: unknown) => {
      state.role = undefined;
      throw error;
    });
    client = await connectClient(postgres.url, {
      ...role,
      statementTimeoutMs: sqlTimeoutMs,
      lockTimeoutMs: LIMITS.postgres.lockTimeoutMs,
    });
    await client.query("SET timezone = 'UTC'");
    await client.query('BEGIN READ ONLY');
    return await read(client, sql);
  } finally {
    state.running -= 1;
    clearTimeout(timer);
    void client?.end();
  }
}
