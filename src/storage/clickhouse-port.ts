/** The port of ClickHouse: what the loader, the console and the commands need of it. */

export type ClickHouseRow = Readonly<Record<string, unknown>>;

export interface ClickHouse {
  /**
   * Inserts rows, each one JSON object as UTF-8 text, in one statement. Rejects with `RowRefusedError` when
   * ClickHouse answers that the data is wrong, and with any other error when it cannot be asked.
   */
  insert(table: string, rows: readonly Uint8Array[]): Promise<void>;
  /**
   * One read-only statement; writes and `file()`, `url()` and the like are refused. JSONEachRow text. Cancelled when
   * `signal` says that nobody waits for the answer any more.
   */
  query(sql: string, signal?: AbortSignal): Promise<string>;
  /** One statement of our own: migrations. */
  command(sql: string): Promise<void>;
  ping(): Promise<void>;
  /** Cancels running queries; waits for the rest. */
  close(): Promise<void>;
}

/** ClickHouse refused the data of an insert; at least one of its rows can never go in. */
export class RowRefusedError extends Error {
  override readonly name = 'RowRefusedError';
}

/** ClickHouse has ended in this process: only a restart of it brings it back. */
export class ClickHouseEndedError extends Error {
  override readonly name = 'ClickHouseEndedError';
}

/** ClickHouse refused a statement of `query`: the message is ClickHouse's own. */
export class QueryRefusedError extends Error {
  override readonly name = 'QueryRefusedError';
}
