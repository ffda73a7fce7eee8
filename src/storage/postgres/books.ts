/** The books of the whole system, from what is durable in Postgres and in the log. */
import type { Books } from '../../books.ts';
import type { DeadLetterReason } from '../../event/outcome.ts';
import type { EventLog } from '../event-log.ts';
import { INGESTION_TOPIC } from '../topics.ts';
import type { Postgres } from './pool.ts';

interface PartitionBooks {
  readonly partition: number;
  readonly first_offset: number;
  readonly read_position: number;
  readonly held: number;
  readonly in_flight: number;
  readonly fates: Readonly<Record<string, number>>;
}

const READ_PARTITIONS = `
  SELECT partition, first_offset, read_position, held, in_flight, fates
  FROM tributary_partition WHERE log_id = $1 AND topic = $2`;
const READ_REFUSED = `
  SELECT reason, count(*)::int AS count FROM tributary_refused_row WHERE log_id = $1 GROUP BY reason`;
const READ_DOOR = 'SELECT kind, reason, count FROM tributary_door';
const ADD_DOOR = `
  INSERT INTO tributary_door (kind, reason, count) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
  ON CONFLICT (kind, reason) DO UPDATE SET count = tributary_door.count + excluded.count`;
/** Of the kind `spooled` the reason is the spool's id, and the count what is in it. */
const SPOOLED = 'spooled';
const SET_SPOOLED = `
  INSERT INTO tributary_door (kind, reason, count) VALUES ('${SPOOLED}', $1, $2)
  ON CONFLICT (kind, reason) DO UPDATE SET count = excluded.count`;
const FORGET_SPOOLED = `DELETE FROM tributary_door WHERE kind = '${SPOOLED}' AND reason = $1`;
const ADD_REFUSED = `
  INSERT INTO tributary_refused_row (log_id, source, reason)
  SELECT $1, source, $3 FROM unnest($2::text[]) AS source ON CONFLICT DO NOTHING`;

export async function readBooks(
  postgres: Postgres,
  log: Pick<EventLog, 'identity' | 'offsets'>,
): Promise<Books> {
  const logId = log.identity();
  // The ends last: a record that is counted as read has an end behind it.
  const partitions = (await postgres.query<PartitionBooks>(READ_PARTITIONS, [logId, INGESTION_TOPIC])).rows;
  const refused = (await postgres.query<{ reason: string; count: number }>(READ_REFUSED, [logId])).rows;
  const door = (await postgres.query<DoorRow>(READ_DOOR)).rows;
  const ends = await log.offsets(INGESTION_TOPIC);

  const known = new Map(partitions.map((row) => [row.partition, row]));
  let acknowledged = 0;
  let waiting = 0;
  for (const { partition, first, end } of ends) {
    const row = known.get(partition);
    acknowledged += end - (row?.first_offset ?? first);
    waiting += end - (row?.read_position ?? first);
  }
  let read = 0;
  let held = 0;
  let inFlight = 0;
  const fates = new Map<string, number>();
  for (const row of partitions) {
    read += row.read_position - row.first_offset;
    held += row.held;
    inFlight += row.in_flight;
    for (const [fate, count] of Object.entries(row.fates)) fates.set(fate, (fates.get(fate) ?? 0) + count);
  }
  const settled = [...fates.values()].reduce((sum, count) => sum + count, 0);
  const refusedRows = refused.reduce((sum, { count }) => sum + count, 0);
  const deadLettered = new Map(Object.entries(reasonsOf(fates, 'dead_letter')));
  for (const { reason, count } of refused) deadLettered.set(reason, (deadLettered.get(reason) ?? 0) + count);
  return {
    acknowledged,
    waiting,
    held,
    in_flight: inFlight,
    rows: (fates.get('row') ?? 0) - refusedRows,
    dead_lettered: Object.fromEntries(deadLettered),
    dropped: reasonsOf(fates, 'drop'),
    imbalance: read - settled - held - inFlight,
    spooled: door.filter(({ kind }) => kind === SPOOLED).reduce((sum, { count }) => sum + count, 0),
    door: {
      refused: doorOf(door, 'refused'),
      dead_lettered: doorOf(door, 'dead_lettered'),
      discarded: doorOf(door, 'discarded'),
    },
  };
}

interface DoorRow {
  readonly kind: string;
  readonly reason: string;
  readonly count: number;
}

function reasonsOf(fates: ReadonlyMap<string, number>, kind: string): Record<string, number> {
  const reasons: Record<string, number> = {};
  for (const [fate, count] of fates) {
    if (fate.startsWith(`${kind}:`)) reasons[fate.slice(kind.length + 1)] = count;
  }
  return reasons;
}

const doorOf = (rows: readonly DoorRow[], kind: string): Record<string, number> =>
  Object.fromEntries(rows.filter((row) => row.kind === kind).map(({ reason, count }) => [reason, count]));

export interface DoorCount {
  readonly kind: 'refused' | 'discarded' | 'dead_lettered';
  readonly reason: string;
  /** How many since they were last recorded. */
  readonly count: number;
}

/** Adds what ended at the door. */
export async function recordDoor(postgres: Postgres, counts: readonly DoorCount[]): Promise<void> {
  if (counts.length === 0) return;
  await postgres.query(ADD_DOOR, [
    counts.map(({ kind }) => kind),
    counts.map(({ reason }) => reason),
    counts.map(({ count }) => count),
  ]);
}

/** How many events are in the spool of this id now. */
export async function recordSpooled(postgres: Postgres, spoolId: string, events: number): Promise<void> {
  if (events === 0) await postgres.query(FORGET_SPOOLED, [spoolId]);
  else await postgres.query(SET_SPOOLED, [spoolId, events]);
}

/** `source`: `<partition>:<offset>` of the ingestion record. A repeat of the row is not counted twice. */
export const recordRefusedRow = (
  postgres: Postgres,
  logId: string,
  source: string,
  reason: DeadLetterReason,
): Promise<void> => recordRefusedRows(postgres, logId, [source], reason);

/** `recordRefusedRow` for many at once. */
export async function recordRefusedRows(
  postgres: Postgres,
  logId: string,
  sources: readonly string[],
  reason: DeadLetterReason,
): Promise<void> {
  if (sources.length > 0) await postgres.query(ADD_REFUSED, [logId, sources, reason]);
}
