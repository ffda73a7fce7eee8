/** A partition's row: the owner's epoch, how far it has come, and what was folded. */
import { asPersonUuid } from '../../event/ids.ts';
import {
  type Acquired,
  FencedError,
  type FoldedRange,
  type OffsetRange,
  type PartitionKey,
  type PartitionSave,
  type PersonStore,
  type Progress,
} from '../person-store.ts';
import type { Postgres, Queryable } from './pool.ts';

const TAKE = `
  INSERT INTO tributary_partition
    (log_id, topic, partition, epoch, first_offset, folded_below, read_position, unfinished, held, in_flight, fates)
  VALUES ($1, $2, $3, 1, $4, $4, $4, '[]', 0, 0, '{}')
  ON CONFLICT (log_id, topic, partition) DO UPDATE SET epoch = tributary_partition.epoch + 1
  RETURNING epoch, first_offset, folded_below, read_position, unfinished, held, in_flight, fates`;

const READ_FOLDED = `
  SELECT from_offset, to_offset, persons::text[] AS persons FROM tributary_folded
  WHERE log_id = $1 AND topic = $2 AND partition = $3 ORDER BY from_offset`;

const WRITE_PROGRESS = `
  UPDATE tributary_partition AS t SET
    read_position = s.read_position, unfinished = s.unfinished, held = s.held, in_flight = s.in_flight,
    fates = s.fates, folded_below = greatest(t.folded_below, s.folded_below), saved_at = now()
  FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::jsonb[], $7::int[], $8::int[],
    $9::jsonb[], $10::bigint[])
    AS s (log_id, topic, partition, epoch, read_position, unfinished, held, in_flight, fates, folded_below)
  WHERE (t.log_id, t.topic, t.partition) = (s.log_id, s.topic, s.partition) AND t.epoch = s.epoch`;

const PRUNE = `
  DELETE FROM tributary_folded AS f
  USING unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS s (log_id, topic, partition, folded_below)
  WHERE (f.log_id, f.topic, f.partition) = (s.log_id, s.topic, s.partition) AND f.to_offset < s.folded_below`;

const RECORD_FOLDED = `
  INSERT INTO tributary_folded (log_id, topic, partition, from_offset, to_offset, persons)
  SELECT log_id, topic, partition, from_offset, to_offset, $6::uuid[]
  FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::bigint[])
    AS s (log_id, topic, partition, from_offset, to_offset)`;

interface PartitionRow {
  readonly epoch: number;
  readonly first_offset: number;
  readonly folded_below: number;
  readonly read_position: number;
  readonly unfinished: readonly OffsetRange[];
  readonly held: number;
  readonly in_flight: number;
  readonly fates: Readonly<Record<string, number>>;
}

/** Raises the epoch first, which waits out a save in progress, then reads what was folded. */
export async function acquire(postgres: Postgres, key: PartitionKey, firstOffset: number): Promise<Acquired> {
  const at = [key.logId, key.topic, key.partition];
  const taken = await postgres.query<PartitionRow>(TAKE, [...at, firstOffset]);
  const [row] = taken.rows;
  if (row === undefined) throw new Error('Postgres gave no row for the partition');
  const folded = await postgres.query<{ from_offset: number; to_offset: number; persons: string[] }>(
    READ_FOLDED,
    at,
  );
  return {
    epoch: row.epoch,
    foldedBelow: row.folded_below,
    folded: folded.rows.map(
      ({ from_offset, to_offset, persons }): FoldedRange => ({
        from: from_offset,
        to: to_offset,
        persons: persons.map(asPersonUuid),
      }),
    ),
    progress: {
      firstOffset: row.first_offset,
      readPosition: row.read_position,
      unfinished: row.unfinished,
      held: row.held,
      inFlight: row.in_flight,
      fates: row.fates,
    },
  };
}

/** Locks the partitions' rows, checks that they are still ours, and writes where they stand. */
export async function writeProgress(
  postgres: Queryable,
  partitions: readonly (PartitionSave & { readonly foldedBelow?: number })[],
): Promise<void> {
  const column = <Value>(pick: (progress: Progress) => Value) =>
    partitions.map(({ progress }) => pick(progress));
  const { rowCount } = await postgres.query(WRITE_PROGRESS, [
    partitions.map(({ key }) => key.logId),
    partitions.map(({ key }) => key.topic),
    partitions.map(({ key }) => key.partition),
    partitions.map(({ epoch }) => epoch),
    column((progress) => progress.readPosition),
    column((progress) => JSON.stringify(progress.unfinished)),
    column((progress) => progress.held),
    column((progress) => progress.inFlight),
    column((progress) => JSON.stringify(progress.fates)),
    partitions.map(({ foldedBelow }) => foldedBelow ?? 0),
  ]);
  if (rowCount !== partitions.length) throw new FencedError('another owner has taken a partition');
}

export async function recordFolded(
  postgres: Queryable,
  key: PartitionKey,
  ranges: readonly OffsetRange[],
  persons: readonly string[],
): Promise<void> {
  if (ranges.length === 0) return;
  await postgres.query(RECORD_FOLDED, [
    ranges.map(() => key.logId),
    ranges.map(() => key.topic),
    ranges.map(() => key.partition),
    ranges.map(({ from }) => from),
    ranges.map(({ to }) => to),
    persons,
  ]);
}

export function saveProgress(
  postgres: Postgres,
  partitions: Parameters<PersonStore['saveProgress']>[0],
): Promise<void> {
  return postgres.transaction(async (transaction) => {
    await writeProgress(transaction, partitions);
    await transaction.query(PRUNE, [
      partitions.map(({ key }) => key.logId),
      partitions.map(({ key }) => key.topic),
      partitions.map(({ key }) => key.partition),
      partitions.map(({ foldedBelow }) => foldedBelow),
    ]);
  });
}
