/** ClickHouse in memory: every row that was ever inserted, table by table, and which of them a merge keeps. */
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';

export type Row = Readonly<Record<string, unknown>>;

export class SimClickHouse {
  readonly #tables = new Map<string, string[]>();

  insert(table: string, texts: readonly Uint8Array[]): void {
    const rows = this.#tables.get(table) ?? [];
    this.#tables.set(table, rows);
    for (const text of texts) rows.push(Buffer.from(text).toString());
  }

  /** JSON texts, in the order of their inserts. */
  texts(table: string): readonly string[] {
    return this.#tables.get(table) ?? [];
  }

  /** As `ReplacingMergeTree(version)` keeps them: of one key the highest version, of equal ones the last. */
  merged(table: string, keyOf: (row: Row) => string, version: string): ReadonlyMap<string, Row> {
    const kept = new Map<string, Row>();
    for (const text of this.texts(table)) {
      const row: Row = JSON.parse(text);
      const before = kept.get(keyOf(row));
      if (before === undefined || Number(row[version]) >= Number(before[version])) kept.set(keyOf(row), row);
    }
    return kept;
  }
}

/** ClickHouse as a loader reaches it: `call` decides when an insert happens, and what is heard of it. */
export function clickHouseOf(
  clickhouse: SimClickHouse,
  call: <Result>(name: string, insert: () => Result) => Promise<Result>,
): ClickHouse {
  const never = async (): Promise<never> => {
    throw new Error('a loader only inserts');
  };
  return {
    insert: (table, rows) => call('insert', () => clickhouse.insert(table, rows)),
    query: never,
    command: never,
    ping: never,
    close: async () => {},
  };
}
