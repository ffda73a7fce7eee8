/** When each record was folded, as the witness in Postgres has it. */
import type { Postgres } from '../../src/storage/postgres/pool.ts';

const FOLDS = `
  SELECT f.partition, f.folded AS offset, min(extract(epoch FROM w.saved_at) * 1000)::float8 AS at_ms
  FROM tributary_witness AS w, unnest(w.partitions, w.offsets) AS f (partition, folded) GROUP BY 1, 2`;

/** Milliseconds since the epoch of each fold's transaction, by `partition:offset`. */
export async function foldTimes(postgres: Postgres): Promise<ReadonlyMap<string, number>> {
  const { rows } = await postgres.query<{ partition: number; offset: number; at_ms: number }>(FOLDS);
  return new Map(rows.map(({ partition, offset, at_ms }) => [`${partition}:${offset}`, at_ms]));
}
