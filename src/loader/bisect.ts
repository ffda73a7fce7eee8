/** Finds the rows that ClickHouse refuses. */
import { RowRefusedError } from '../storage/clickhouse-port.ts';

export interface Refused<Row> {
  readonly row: Row;
  /** ClickHouse's words. */
  readonly detail: string;
}

/**
 * Inserts all rows but those that are refused, in their order, by halves: `insert` is called once when all are good,
 * and about log2(n) times more for each bad one. Rejects with whatever else `insert` rejects with.
 */
export async function insertAround<Row>(
  rows: readonly Row[],
  insert: (rows: readonly Row[]) => Promise<void>,
): Promise<readonly Refused<Row>[]> {
  const [first] = rows;
  if (first === undefined) return [];
  try {
    await insert(rows);
    return [];
  } catch (error) {
    if (!(error instanceof RowRefusedError)) throw error;
    if (rows.length === 1) return [{ row: first, detail: error.message }];
    const middle = Math.ceil(rows.length / 2);
    const left = await insertAround(rows.slice(0, middle), insert);
    const right = await insertAround(rows.slice(middle), insert);
    return [...left, ...right];
  }
}
