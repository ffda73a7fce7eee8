/** What is in a table, and what has to be there once the records of its topic are in it. */
import { isJsonObject } from '../../src/event/json.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import type { EventLog, LogRecord } from '../../src/storage/event-log.ts';
import type { ClickHouseTopic } from '../../src/storage/topics.ts';

export type Row = Readonly<Record<string, unknown>>;

export async function rowsOf(clickhouse: Pick<ClickHouse, 'query'>, sql: string): Promise<readonly Row[]> {
  const text = await clickhouse.query(sql);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line): Row => {
      const row: unknown = JSON.parse(line);
      if (!isJsonObject(row)) throw new Error(`not a row: ${line}`);
      return row;
    });
}

/** A type for each column that the record decides. */
export async function columnsOf(clickhouse: ClickHouse, table: string): Promise<ReadonlyMap<string, string>> {
  const columns = await rowsOf(
    clickhouse,
    `SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '${table}'
       AND default_kind != 'MATERIALIZED' AND name != 'inserted_at'`,
  );
  return new Map(columns.map(({ name, type }) => [String(name), String(type)]));
}

/** The row that comes out of a table with these columns when `row` went in. */
export function expectedRow(columns: ReadonlyMap<string, string>, row: Row): Row {
  return Object.fromEntries([...columns].map(([name, type]) => [name, cameBack(type, row[name])]));
}

function cameBack(type: string, value: unknown): unknown {
  if (/^DateTime64\(3/.test(type)) return `${value ?? '1970-01-01 00:00:00'}.000`;
  if (/^DateTime64/.test(type)) return value ?? '1970-01-01 00:00:00.000000';
  if (type === 'DateTime') return new Date(Number(value) * 1000).toISOString().slice(0, 19).replace('T', ' ');
  if (value !== undefined) return value;
  if (type === 'UUID') return '00000000-0000-0000-0000-000000000000';
  if (type === 'Bool') return false;
  if (type.startsWith('Enum')) return 'full';
  return type.includes('Int') ? 0 : '';
}

/** In an order that both sides have, and in which a difference is easy to see. */
export const sorted = (rows: readonly Row[]): readonly Row[] =>
  rows
    .map((row) => Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))))
    .map((row) => ({ row, text: JSON.stringify(row) }))
    .sort((a, b) => (a.text < b.text ? -1 : 1))
    .map(({ row }) => row);

/** Everything that is on the topic. */
export async function recordsOf(log: EventLog, topic: ClickHouseTopic): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  const offsets = await log.offsets(topic);
  const count = offsets.reduce((sum, { first, end }) => sum + end - first, 0);
  if (count === 0) return records;
  const { promise, resolve, reject } = withResolvers();
  const subscription = await log.subscribe({
    group: `reader-${topic}-${offsets.map(({ end }) => end).join('-')}`,
    topics: [topic],
    recordsMax: 1_000,
    onAssign: async ({ partition }) => offsets.find((at) => at.partition === partition)?.first ?? 0,
    onRevoke: () => {},
    onRecords: (_, some) => {
      records.push(...some);
      if (records.length >= count) resolve();
    },
    onError: reject,
  });
  await promise;
  await subscription.close();
  return records;
}

function withResolvers() {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
