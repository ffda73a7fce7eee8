/** A partition's row: the owner's epoch, how far it has come, and what was folded. */
import { asPersonUuid } from '../../event/ids.ts';
import type { GroupId } from '../../person/group.ts';
import {
  type Acquired,
  FencedError,
  type FoldedRange,
  type Landmark,
  type OffsetRange,
  type PartitionEpoch,
  type PartitionKey,
  type PartitionSave,
  type Progress,
} from '../person-store.ts';
import type { Postgres, Queryable } from './pool.ts';

/** The time in microseconds: a failover that lost the last epochs does not give them to somebody else. */
const NEW_EPOCH = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint';

const TAKE = `
  INSERT INTO tributary_partition
    (log_id, topic, partition, epoch, first_offset, folded_below, read_position, unfinished, unfinished_digest, held,
    in_flight, fates)
  VALUES ($1, $2, $3, ${NEW_EPOCH}, $4, $4, $4, '[]', md5('[]'), 0, 0, '{}')
  ON CONFLICT (log_id, topic, partition) DO UPDATE SET epoch = greatest(tributary_partition.epoch + 1, ${NEW_EPOCH})
  RETURNING epoch, first_offset, folded_below, read_position, unfinished, held, in_flight, fates, landmark,
    md5(unfinished::text) = unfinished_digest AS is_whole, replay_from`;

const READ_FOLDED = `
  SELECT from_offset, to_offset, persons::text[] AS persons, groups FROM tributary_folded
  WHERE log_id = $1 AND topic = $2 AND partition = $3 ORDER BY from_offset`;

/** In key order, so that two owners never wait for each other in a circle. */
const LOCK = `
  SELECT FROM tributary_partition AS t
  JOIN unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS s (log_id, topic, partition, epoch)
    ON (t.log_id, t.topic, t.partition) = (s.log_id, s.topic, s.partition) AND t.epoch = s.epoch
  ORDER BY t.log_id, t.topic, t.partition`;
/** Saves go side by side; who takes the partition waits for them. */
const LOCK_FOR_SAVE = `${LOCK} FOR SHARE OF t`;
const LOCK_FOR_PROGRESS = `${LOCK} FOR NO KEY UPDATE OF t`;

const WRITE_PROGRESS = `
  UPDATE tributary_partition AS t SET
    read_position = s.read_position, unfinished = s.unfinished, unfinished_digest = md5(s.unfinished::text),
    held = s.held, in_flight = s.in_flight, fates = s.fates, landmark = s.landmark, replay_from = NULL,
    folded_below = greatest(t.folded_below, s.folded_below), saved_at = now()
  FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::jsonb[], $7::int[], $8::int[],
    $9::jsonb[], $10::jsonb[])
    AS s (log_id, topic, partition, folded_below, read_position, unfinished, held, in_flight, fates, landmark)
  WHERE (t.log_id, t.topic, t.partition) = (s.log_id, s.topic, s.partition)`;

const PRUNE = `
  DELETE FROM tributary_folded AS f
  USING unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS s (log_id, topic, partition, folded_below)
  WHERE (f.log_id, f.topic, f.partition) = (s.log_id, s.topic, s.partition) AND f.to_offset < s.folded_below`;

/** Arrays within arrays have to be as long as one another: `persons` come as text. */
const RECORD_FOLDED = `
  INSERT INTO tributary_folded (log_id, topic, partition, from_offset, to_offset, persons, groups)
  SELECT log_id, topic, partition, from_offset, to_offset, persons::uuid[], groups
  FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::jsonb[])
    AS s (log_id, topic, partition, from_offset, to_offset, persons, groups)`;

interface PartitionRow {
  readonly epoch: number;
  readonly first_offset: number;
  readonly folded_below: number;
  readonly read_position: number;
  readonly unfinished: readonly OffsetRange[];
  readonly held: number;
  readonly in_flight: number;
  readonly fates: Readonly<Record<string, number>>;
  readonly landmark: Landmark | null;
  readonly is_whole: boolean;
  readonly replay_from: number | null;
}

interface FoldedRow {
  readonly from_offset: number;
  readonly to_offset: number;
  readonly persons: readonly string[];
  readonly groups: readonly GroupId[];
}

/** Raises the epoch first, which waits out a save in progress, then reads what was folded. */
export async function acquire(postgres: Postgres, key: PartitionKey, firstOffset: number): Promise<Acquired> {
  const at = [key.logId, key.topic, key.partition];
  const taken = await postgres.query<PartitionRow>(TAKE, [...at, firstOffset]);
  const [row] = taken.rows;
  if (row === undefined) throw new Error('Postgres gave no row for the partition');
  const folded = await postgres.query<FoldedRow>(READ_FOLDED, at);
  return {
    epoch: row.epoch,
    foldedBelow: row.folded_below,
    folded: folded.rows.map(
      ({ from_offset, to_offset, persons, groups }): FoldedRange => ({
        from: from_offset,
        to: to_offset,
        persons: persons.map(asPersonUuid),
        groups,
      }),
    ),
    progress: {
      firstOffset: row.first_offset,
      readPosition: row.read_position,
      unfinished: row.is_whole ? row.unfinished : [],
      held: row.held,
      inFlight: row.in_flight,
      fates: row.fates,
      ...(row.landmark === null ? {} : { landmark: row.landmark }),
    },
    isWhole: row.is_whole,
    ...(row.replay_from === null ? {} : { replayFrom: row.replay_from }),
  };
}

const keyColumns = (partitions: readonly { readonly key: PartitionKey }[]) => [
  partitions.map(({ key }) => key.logId),
  partitions.map(({ key }) => key.topic),
  partitions.map(({ key }) => key.partition),
];

/** Nobody else takes the partitions until the transaction ends. Rejects with `FencedError` if somebody has. */
export function lockForSave(postgres: Queryable, partitions: readonly PartitionEpoch[]): Promise<void> {
  return lock(postgres, LOCK_FOR_SAVE, partitions);
}

async function lock(
  postgres: Queryable,
  statement: string,
  partitions: readonly PartitionEpoch[],
): Promise<void> {
  const values = [...keyColumns(partitions), partitions.map(({ epoch }) => epoch)];
  const { rowCount } = await postgres.query(statement, values);
  if (rowCount !== partitions.length) throw new FencedError('another owner has taken a partition');
}

export async function recordFolded(
  postgres: Queryable,
  ranges: readonly { readonly key: PartitionKey; readonly range: FoldedRange }[],
): Promise<void> {
  if (ranges.length === 0) return;
  await postgres.query(RECORD_FOLDED, [
    ...keyColumns(ranges),
    ranges.map(({ range }) => range.from),
    ranges.map(({ range }) => range.to),
    ranges.map(({ range }) => `{${range.persons.join(',')}}`),
    ranges.map(({ range }) => JSON.stringify(range.groups)),
  ]);
}

export function saveProgress(postgres: Postgres, partitions: readonly PartitionSave[]): Promise<void> {
  const column = <Value>(pick: (progress: Progress) => Value) =>
    partitions.map(({ progress }) => pick(progress));
  const below = [...keyColumns(partitions), partitions.map(({ foldedBelow }) => foldedBelow)];
  return postgres.transaction(async (transaction) => {
    await lock(transaction, LOCK_FOR_PROGRESS, partitions);
    await transaction.query(WRITE_PROGRESS, [
      ...below,
      column((progress) => progress.readPosition),
      column((progress) => JSON.stringify(progress.unfinished)),
      column((progress) => progress.held),
      column((progress) => progress.inFlight),
      column((progress) => JSON.stringify(progress.fates)),
      column(({ landmark }) => (landmark === undefined ? null : JSON.stringify(landmark))),
    ]);
    await transaction.query(PRUNE, below);
  });
}

/** What is known of logs so far is kept under names that no log has. Returns how many partitions that is. */
const SET_ASIDE = `
  WITH mark AS (SELECT ' until ' || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS text),
    folded AS (UPDATE tributary_folded SET log_id = log_id || mark.text FROM mark WHERE log_id NOT LIKE '% until %'),
    refused AS (UPDATE tributary_refused_row SET log_id = log_id || mark.text FROM mark WHERE log_id NOT LIKE '% until %')
  UPDATE tributary_partition SET log_id = log_id || mark.text FROM mark WHERE log_id NOT LIKE '% until %'`;

/** For a log that was made anew under the old identity: it begins with new progress. */
export async function setAsideProgress(postgres: Postgres): Promise<number> {
  return (await postgres.query(SET_ASIDE)).rowCount ?? 0;
}

/** Who has a partition is fenced, takes it again, and with it what is asked for. */
const ASK_REPLAY = `
  UPDATE tributary_partition SET epoch = greatest(epoch + 1, ${NEW_EPOCH}), replay_from = $3
  WHERE log_id = $1 AND topic = 'events_plugin_ingestion' AND partition = $2`;

const KNOWN_PARTITIONS = `
  SELECT log_id AS "logId", first_offset AS first, read_position AS "readPosition" FROM tributary_partition
  WHERE log_id NOT LIKE '% until %' AND topic = 'events_plugin_ingestion' AND partition = $1`;

/** A partition of the ingestion topic, in each log that is known. */
export async function knownPartitions(
  postgres: Postgres,
  partition: number,
): Promise<readonly { readonly logId: string; readonly first: number; readonly readPosition: number }[]> {
  const known = await postgres.query<{ logId: string; first: number; readPosition: number }>(
    KNOWN_PARTITIONS,
    [partition],
  );
  return known.rows;
}

/** Records from this offset on are to be read again. */
export async function askReplay(
  postgres: Postgres,
  logId: string,
  partition: number,
  from: number,
): Promise<void> {
  await postgres.query(ASK_REPLAY, [logId, partition, from]);
}
