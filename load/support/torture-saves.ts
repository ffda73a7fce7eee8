/** What Postgres knows of saves: those that are open, what was folded in which order, and how far each partition is. */
import { sleep, systemClock } from '../../src/clock.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import type { PartitionProgress, Witnessed } from './torture-follow.ts';
import type { PostgresProxy } from './torture-proxy.ts';

export interface OpenSave {
  readonly xid: string;
  readonly isMerging: boolean;
}

/** Transactions that have begun to write and have locked persons: only saves do. */
const OPEN_SAVES = `
  SELECT a.backend_xid::text AS xid,
    bool_or(c.relname = 'tributary_merged' AND l.mode = 'RowExclusiveLock') AS "isMerging"
  FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid JOIN pg_class c ON c.oid = l.relation
  WHERE a.client_port = ANY($1::int[]) AND a.backend_xid IS NOT NULL
  GROUP BY a.pid, a.backend_xid
  HAVING bool_or(c.relname = 'posthog_person' AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))`;
const PROGRESS = `
  SELECT partition, read_position AS "readPosition", unfinished, held, saved_at AS "savedAt"
  FROM tributary_partition WHERE topic = '${INGESTION_TOPIC}' ORDER BY partition`;
const WITNESS = `
  SELECT place, partitions, offsets::text[] AS offsets, persons::text[] AS persons, versions::text[] AS versions
  FROM tributary_witness WHERE place > $1 ORDER BY place LIMIT $2`;
const WITNESS_PAGE = 2_000;
const POLL_MS = 10;

/** Saves that are open behind this proxy. */
export async function openSaves(postgres: Postgres, proxy: PostgresProxy): Promise<readonly OpenSave[]> {
  return readIfMade(() => postgres.query<OpenSave>(OPEN_SAVES, [proxy.ports]));
}

/** Looks at the saves that a dead process has left open behind this proxy, and ends them. */
export async function rolledBackSaves(
  postgres: Postgres,
  proxy: PostgresProxy,
): Promise<readonly OpenSave[]> {
  const open = await openSaves(postgres, proxy);
  await proxy.release();
  const rolledBack: OpenSave[] = [];
  for (const save of open) if (await isRolledBack(postgres, save)) rolledBack.push(save);
  return rolledBack;
}

export interface StoredProgress extends PartitionProgress {
  readonly held: number;
  readonly savedAt: Date;
}

/** A process that died in its first start may not have made the tables. */
async function readIfMade<Row>(read: () => Promise<{ rows: readonly Row[] }>): Promise<readonly Row[]> {
  try {
    return (await read()).rows;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === '42P01') return [];
    throw error;
  }
}

/** Once its transaction has come to an end. */
export async function isRolledBack(postgres: Postgres, { xid }: OpenSave): Promise<boolean> {
  for (;;) {
    const { rows } = await postgres.query<{ status: string }>('SELECT pg_xact_status($1::xid8) AS status', [
      xid,
    ]);
    if (rows[0]?.status !== 'in progress') return rows[0]?.status === 'aborted';
    await sleep(systemClock, POLL_MS);
  }
}

export async function readWitness(postgres: Postgres, after: number): Promise<readonly Witnessed[]> {
  const all: Witnessed[] = [];
  for (;;) {
    const page = await readIfMade(() =>
      postgres.query<Witnessed>(WITNESS, [all.at(-1)?.place ?? after, WITNESS_PAGE]),
    );
    for (const { offsets, versions, ...work } of page) {
      all.push({ ...work, offsets: offsets.map(Number), versions: versions.map(Number) });
    }
    if (page.length < WITNESS_PAGE) return all;
  }
}

export const readProgress = (postgres: Postgres): Promise<readonly StoredProgress[]> =>
  readIfMade(() => postgres.query<StoredProgress>(PROGRESS));
