/** The `ClickHouse` port on `@clickhouse/client`: embedded (chdb) or a server, by the same code. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ClickHouseClient, ClickHouseSettings } from '@clickhouse/client';
import { systemClock, within } from '../../clock.ts';
import { LIMITS } from '../../limits.ts';
import {
  type ClickHouse,
  ClickHouseEndedError,
  QueryRefusedError,
  RowRefusedError,
} from '../clickhouse-port.ts';
import { type ClickHouseOptions, type Connector, connectorFor, quote } from './connect.ts';
import { assertReadOnly } from './read-only.ts';
import { clickHouseCode, hasEnded, isRowRefusal, withoutRows } from './refusals.ts';

const COMMAND_SETTINGS: ClickHouseSettings = { session_timezone: 'UTC' };

const INSERT_SETTINGS: ClickHouseSettings = {
  session_timezone: 'UTC',
  // An answer means that the rows are in.
  async_insert: 0,
  // A batch may hold timestamps of any number of months.
  max_partitions_per_insert_block: '0',
  // What does not fit is refused, never dropped or replaced by a default.
  input_format_skip_unknown_fields: 0,
  input_format_null_as_default: 0,
  date_time_input_format: 'basic',
  // Leaves a core to the rest of the process and takes less memory.
  input_format_parallel_parsing: 0,
};

const QUERY_SETTINGS: ClickHouseSettings = {
  session_timezone: 'UTC',
  max_query_size: String(4 * LIMITS.console.sqlBytesMax),
  max_result_rows: String(LIMITS.console.sqlRowsMax),
  max_result_bytes: String(LIMITS.console.sqlAnswerBytesMax),
  result_overflow_mode: 'throw',
  max_execution_time: LIMITS.console.sqlTimeoutMs / 1000,
  readonly: '1',
};

/** Rejects with a line that says what to do when the optional package chdb is needed and missing. */
export async function openClickHouse(options: ClickHouseOptions): Promise<ClickHouse> {
  const connector = await connectorFor(options);
  const [inserts, commands] = await Promise.all([
    connector.connect(INSERT_SETTINGS, LIMITS.loader.insertTimeoutMs),
    connector.connect(COMMAND_SETTINGS, LIMITS.loader.insertTimeoutMs),
  ]);
  const insertTurn = turns(connector);
  const commandTurn = turns(connector);
  const queryTurn = turns(connector);

  const running = new Set<string>();
  const cancel = async (id: string): Promise<void> => {
    try {
      await commandTurn(() =>
        commands.command({ query: `KILL QUERY WHERE Settings['log_comment'] = ${quote(id)} ASYNC` }),
      );
    } catch {
      // It has ended by itself, or will at its time limit.
    }
  };
  const query = async (sql: string, signal: AbortSignal | undefined): Promise<string> => {
    if (signal?.aborted) throw new QueryRefusedError('The query was cancelled before it began.');
    const id = randomUUID();
    const onAbort = () => void cancel(id);
    signal?.addEventListener('abort', onAbort);
    running.add(id);
    try {
      return await readOnlyAnswer(connector, sql, id);
    } finally {
      running.delete(id);
      signal?.removeEventListener('abort', onAbort);
    }
  };

  return {
    insert: (table, rows) =>
      insertTurn(async () => {
        const values = Readable.from([joinLines(rows)], { objectMode: false });
        try {
          await answer(inserts, { query: `INSERT INTO \`${table}\` FORMAT JSONEachRow`, values });
        } catch (error) {
          if (isRowRefusal(error)) throw new RowRefusedError(messageOf(error), { cause: error });
          if (hasEnded(error)) throw new ClickHouseEndedError(messageOf(error), { cause: error });
          throw new Error(withoutRows(messageOf(error)), { cause: error });
        }
      }),
    query: (sql, signal) => queryTurn(() => query(sql, signal)),
    command: (sql) => commandTurn(async () => void (await commands.command({ query: sql }))),
    ping: () => commandTurn(async () => void (await answer(commands, { query: 'SELECT 1' }))),
    async close() {
      await within(systemClock, LIMITS.loader.cancelTimeoutMs, Promise.all([...running].map(cancel)));
      // An embedded connection must not be closed under a running statement.
      await Promise.all([
        insertTurn(() => inserts.close()),
        commandTurn(() => commands.close()),
        queryTurn(idle),
      ]);
    },
  };
}

/**
 * A connection for each query: after a failed one, chdb answers the next on the same connection with what was left
 * of it, and `USE` and `SET` would stay. It takes 2 ms.
 */
/** `id`: by which it can be cancelled; chdb takes no query ids. */
async function readOnlyAnswer(connector: Connector, sql: string, id: string): Promise<string> {
  const client = await connector.connect(
    { ...QUERY_SETTINGS, log_comment: id },
    LIMITS.console.sqlTimeoutMs + 1_000,
  );
  try {
    const normalized = await answer(client, {
      query: `SELECT formatQuerySingleLine(${quote(sql)}) FORMAT TSVRaw`,
    });
    assertReadOnly(normalized.trim());
    return await answer(client, { query: sql });
  } catch (error) {
    if (clickHouseCode(error) === undefined) throw error;
    throw new QueryRefusedError(messageOf(error), { cause: error });
  } finally {
    await client.close();
  }
}

/** JSONEachRow unless the statement names another format. */
const ANSWER_SETTINGS: ClickHouseSettings = { default_format: 'JSONEachRow', wait_end_of_query: 1 };

async function answer(
  client: ClickHouseClient,
  statement: { readonly query: string; readonly values?: Readable },
): Promise<string> {
  const { stream } = await client.exec({ ...statement, clickhouse_settings: ANSWER_SETTINGS });
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

type Turn = <Result>(task: () => Promise<Result>) => Promise<Result>;

/** Runs tasks one after the other where the connection can do no more, at once elsewhere. */
function turns(connector: Connector): Turn {
  if (!connector.oneAtATime) return (task) => task();
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
}

async function idle(): Promise<void> {}

const NEWLINE = 0x0a;

function joinLines(rows: readonly Uint8Array[]): Buffer {
  const text = Buffer.allocUnsafe(rows.reduce((bytes, row) => bytes + row.length + 1, 0));
  let at = 0;
  for (const row of rows) {
    text.set(row, at);
    at += row.length;
    text[at++] = NEWLINE;
  }
  return text;
}

/** ClickHouse's own words, without the statement of ours that the query was wrapped in. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message.trim() : String(error);
  return message.split(': In scope SELECT formatQuerySingleLine')[0] ?? message;
}
