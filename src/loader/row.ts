/** A record as the row that ClickHouse gets. */
import type { LogRecord } from '../storage/event-log.ts';

const CLOSING_BRACE = 0x7d;

/**
 * The record's JSON object with `_timestamp` (seconds), `_offset` and, where asked for, `_partition` added as text:
 * parsing it would cost more than all the rest. `undefined` if it does not end as an object does.
 */
export function rowOf(record: LogRecord, withPartition: boolean): Uint8Array | undefined {
  const { value } = record;
  if (value.at(-1) !== CLOSING_BRACE) return undefined;
  const seconds = Math.max(0, Math.floor(record.timestamp / 1000));
  const partition = withPartition ? `,"_partition":${record.partition}` : '';
  const columns = `,"_timestamp":${seconds},"_offset":${record.offset}${partition}}`;
  const row = Buffer.allocUnsafe(value.length - 1 + columns.length);
  row.set(value.subarray(0, -1));
  row.write(columns, value.length - 1, 'latin1');
  return row;
}
