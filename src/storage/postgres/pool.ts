/** Connections to Postgres: every one is made here. */
import pg from 'pg';
import { systemClock } from '../../clock.ts';
import { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';

const { postgres: limits } = LIMITS;

export interface Answer<Row> {
  readonly rows: readonly Row[];
  /** Rows returned, or rows written. */
  readonly rowCount: number;
}

/**
 * Values as pg gives them: `timestamptz` is a `Date` (milliseconds), `jsonb` is parsed, `numeric` is text; but
 * `bigint` is a number, and one outside of the safe range an error.
 */
export interface Queryable {
  /** One statement. Within a transaction, one at a time: await each. */
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<Answer<Row>>;
}

export interface Postgres extends Queryable {
  readonly url: string;
  /**
   * BEGIN, `run`, COMMIT; ROLLBACK when `run` rejects. Rejects with what `run` rejected with, or with Postgres'
   * own error, or with a `ConnectionError`: `classify` tells what it means.
   */
  transaction<Result>(run: (transaction: Queryable) => Promise<Result>): Promise<Result>;
  /** Waits for what is running, then ends all connections. */
  close(): Promise<void>;
}

/**
 * - `data`: this data can never go in.
 * - `rolled_back`: it has not happened, and may go in when tried again.
 * - `unavailable`: it has not happened; Postgres cannot be reached, or cannot write, for now.
 * - `unknown`: it may or may not have happened. Read before writing again.
 */
export type PostgresFault = 'data' | 'rolled_back' | 'unavailable' | 'unknown';

/** The connection gave no answer, or the transaction ended otherwise than it should. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly fault: PostgresFault;

  constructor(fault: PostgresFault, cause: unknown) {
    super(cause instanceof Error ? cause.message || String(cause) : String(cause), { cause });
    this.fault = fault;
  }
}

/** Another transaction was faster: nothing of this one may stay. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
}

/** Serialization failure, deadlock, a row that went away, a row that came. */
const CONFLICTS = new Set(['40001', '40P01', '23503', '23505']);

/** Whether another transaction was in the way: this one has not happened, and a new one sees what the other has done. */
export function isConflict(error: unknown): boolean {
  if (error instanceof ConflictError) return true;
  return error instanceof pg.DatabaseError && CONFLICTS.has(error.code ?? '');
}

const ROLLED_BACK = new Set([
  '23503', // the person went away in the meantime
  '23505',
  '23P01',
  '25P02',
  '25P03',
  '25P04',
  '55P03',
  '57014',
]);
const UNKNOWN = new Set(['40003', '08007']);

/** Faults of no known kind count as `unavailable`: they are tried again, and no event is lost to a bad guess. */
function classifyCode(code: string): PostgresFault {
  if (UNKNOWN.has(code)) return 'unknown';
  if (ROLLED_BACK.has(code) || code.startsWith('40')) return 'rolled_back';
  if (/^(22|54)/.test(code) || ['21000', '23502', '23514'].includes(code)) return 'data';
  return 'unavailable';
}

/** What an error of `query` or `transaction` means. An error that is not Postgres' is `unknown`. */
export function classify(error: unknown): PostgresFault {
  if (error instanceof ConflictError) return 'rolled_back';
  if (error instanceof ConnectionError) return error.fault;
  if (error instanceof pg.DatabaseError && error.code !== undefined) return classifyCode(error.code);
  return 'unknown';
}

/** The server has answered, and goes on listening on this connection. */
function isAnswer(error: unknown): error is pg.DatabaseError {
  return (
    error instanceof pg.DatabaseError && error.code !== undefined && !/^(08|57P|25P03|25P04)/.test(error.code)
  );
}

/** Refusals of COMMIT after which it is certain that nothing was committed. */
function isRefusedCommit(error: unknown): boolean {
  return isAnswer(error) && /^(23|40)/.test(error.code ?? '') && error.code !== '40003';
}

function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} is outside of the safe range`);
  return value;
}

const { INT8 } = pg.types.builtins;
const types = new pg.TypeOverrides();
types.setTypeParser(INT8, parseBigint);

export interface SessionSettings {
  readonly user?: string;
  readonly password?: string;
  /** 0: none. */
  readonly statementTimeoutMs: number;
  /** 0: none. */
  readonly lockTimeoutMs: number;
}

/** One connection outside of the pool, for what needs a session of its own. `end()` is the caller's duty. */
export async function connectClient(url: string, session: SessionSettings): Promise<pg.Client> {
  const target = new URL(url);
  if (session.user !== undefined) target.username = session.user;
  if (session.password !== undefined) target.password = session.password;
  const client = new pg.Client({
    connectionString: target.href,
    application_name: 'tributary',
    connectionTimeoutMillis: limits.connectTimeoutMs,
    statement_timeout: session.statementTimeoutMs,
    lock_timeout: session.lockTimeoutMs,
    keepAlive: true,
    types,
  });
  // The statement that meets the loss reports it.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    throw new ConnectionError('unavailable', error);
  }
  return client;
}

async function ask<Row extends object>(
  client: pg.PoolClient,
  text: string,
  values: readonly unknown[],
  whenLost: PostgresFault,
): Promise<Answer<Row>> {
  try {
    const { rows, rowCount } = await client.query<Row>(text, [...values]);
    return { rows, rowCount: rowCount ?? 0 };
  } catch (error) {
    throw isAnswer(error) ? error : new ConnectionError(whenLost, error);
  }
}

async function commit(client: pg.PoolClient): Promise<void> {
  const { command } = await client.query('COMMIT').catch((error: unknown) => {
    throw isRefusedCommit(error) ? error : new ConnectionError('unknown', error);
  });
  // Postgres answers so when a statement had failed and `run` went on all the same.
  if (command !== 'COMMIT')
    throw new ConnectionError('rolled_back', 'the transaction had failed before COMMIT');
}

/** Whether the connection can be used again. */
async function rollBack(client: pg.PoolClient, reason: unknown): Promise<boolean> {
  if (reason instanceof ConnectionError) return false;
  try {
    await client.query('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}

/** Connects when first asked. `url`: `postgres://user:password@host:port/database`. */
export function openPostgres({ url, logger }: { url: string; logger: Logger }): Postgres {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'tributary',
    max: limits.poolMax,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    statement_timeout: limits.statementTimeoutMs,
    lock_timeout: limits.lockTimeoutMs,
    idle_in_transaction_session_timeout: limits.idleInTransactionTimeoutMs,
    query_timeout: limits.answerTimeoutMs,
    keepAlive: true,
    types,
  });
  pool.on('error', (error) =>
    logger.warn({ error: error.message }, 'an idle connection to Postgres was lost'),
  );
  // For a client in use, the statement that meets the loss reports it.
  pool.on('connect', (client) => client.on('error', () => {}));

  let isSlow = false;
  /** `tookMs`: of what asks nothing of the server but an answer. */
  function noteAnswer(tookMs: number): void {
    if (isSlow === tookMs > limits.slowAnswerMs) return;
    isSlow = !isSlow;
    if (isSlow) logger.warn({ answerMs: Math.round(tookMs) }, 'Postgres answers late');
    else logger.info({}, 'Postgres answers in time again');
  }

  async function checkOut(): Promise<pg.PoolClient> {
    try {
      return await pool.connect();
    } catch (error) {
      throw new ConnectionError('unavailable', error);
    }
  }

  return {
    url,

    async query(text, values = []) {
      const client = await checkOut();
      let usable = true;
      try {
        return await ask(client, text, values, 'unknown');
      } catch (error) {
        usable = !(error instanceof ConnectionError);
        throw error;
      } finally {
        client.release(!usable);
      }
    },

    async transaction(run) {
      const client = await checkOut();
      let usable = true;
      let over = false;
      const transaction: Queryable = {
        async query(text, values = []) {
          if (over) throw new Error('the transaction is over');
          return ask(client, text, values, 'unavailable');
        },
      };
      try {
        const askedAt = systemClock.monotonic();
        await transaction.query('BEGIN');
        noteAnswer(systemClock.monotonic() - askedAt);
        const result = await run(transaction);
        await commit(client);
        return result;
      } catch (error) {
        usable = await rollBack(client, error);
        throw error;
      } finally {
        over = true;
        client.release(!usable);
      }
    },

    close: () => pool.end(),
  };
}
