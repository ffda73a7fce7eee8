/** What a dead process leaves behind: read after its death and before the next start. */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRows } from '../../src/cli/client.ts';
import { sleep, systemClock } from '../../src/clock.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { inRanges } from '../../src/storage/offset-ranges.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { STORE_FOLDERS } from '../../src/stores.ts';
import type { Follower, PartitionProgress, Witnessed } from './torture-follow.ts';
import type { DeadLog, LogNews, Produced } from './torture-log.ts';
import type { PostgresProxy } from './torture-proxy.ts';

/** All of it of the life that has just ended. */
export interface Remains {
  readonly log: LogNews;
  /** Saves that were open in Postgres and that it rolled back. */
  readonly rolledBack: readonly OpenSave[];
  /** Events that were folded and are neither rows nor dead letters on the output topics. */
  readonly notProduced: number;
  /** Rows on the output topic whose fate is not in the saved progress. */
  readonly notSettled: number;
  /** Rows in ClickHouse that the loader has not committed. */
  readonly rowsNotCommitted: number;
  /** Parts of `events` that ClickHouse had begun to write. */
  readonly partsBegun: number;
  /** By the saved progress. */
  readonly held: number;
}

export interface OpenSave {
  readonly xid: string;
  readonly isMerging: boolean;
}

export interface Scene {
  readonly dataDir: string;
  readonly log: DeadLog;
  /** Not through the proxy. */
  readonly postgres: Postgres;
  readonly proxy: PostgresProxy;
  readonly follower: Follower;
}

/** Transactions that have begun to write and have locked persons: only saves do. */
const OPEN_SAVES = `
  SELECT a.backend_xid::text AS xid,
    bool_or(c.relname = 'tributary_merged' AND l.mode = 'RowExclusiveLock') AS "isMerging"
  FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid JOIN pg_class c ON c.oid = l.relation
  WHERE a.pid <> pg_backend_pid() AND a.backend_xid IS NOT NULL
  GROUP BY a.pid, a.backend_xid
  HAVING bool_or(c.relname = 'posthog_person' AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))`;
const PROGRESS = `
  SELECT partition, read_position AS "readPosition", unfinished, held, saved_at AS "savedAt"
  FROM tributary_partition WHERE topic = '${INGESTION_TOPIC}' ORDER BY partition`;
const WITNESS = `
  SELECT place, partitions, offsets::text[] AS offsets, persons::text[] AS persons, versions::text[] AS versions
  FROM tributary_witness WHERE place > $1 ORDER BY place LIMIT $2`;
const WITNESS_PAGE = 2_000;
const PAIRS_PER_QUERY = 5_000;
const POLL_MS = 10;

export const EVENTS_FOLDER = join('data', 'default', 'events');

export class Coroner {
  readonly #scene: Scene;
  readonly #clickHouseDir: string;
  /** Rows that ClickHouse had, and the loader had not committed, at the last death. */
  #loaded: ReadonlySet<string> = new Set();

  constructor(scene: Scene) {
    this.#scene = scene;
    this.#clickHouseDir = join(scene.dataDir, STORE_FOLDERS.clickHouse);
  }

  /** Reads everything, and lets the follower follow it. `bornAtMs`: when the process was started. */
  async read(bornAtMs: number): Promise<Remains> {
    const { log, follower, postgres } = this.#scene;
    const rolledBack = await this.#rollBack();
    const partsBegun = await this.#partsBegun(bornAtMs);
    const news = await log.read();
    const progress = await readIfMade(() => postgres.query<StoredProgress>(PROGRESS));
    const witnessed = await readWitness(postgres, follower.place);
    follower.follow(news, witnessed, progress);
    const saved = progress.filter(({ savedAt }) => savedAt.getTime() >= bornAtMs);
    return {
      log: news,
      rolledBack,
      notProduced: witnessed.flatMap(sourcesOf).filter((source) => !follower.hasLeft(source)).length,
      notSettled: news.produced.filter(({ source }) => !isSettled(progress, source)).length,
      rowsNotCommitted: await this.#rowsNotCommitted(news.notLoaded),
      partsBegun,
      held: saved.reduce((sum, { held }) => sum + held, 0),
    };
  }

  /** Looks at the saves that the dead process has left open, and ends them. */
  async #rollBack(): Promise<readonly OpenSave[]> {
    const { postgres, proxy } = this.#scene;
    const open = await readIfMade(() => postgres.query<OpenSave>(OPEN_SAVES));
    await proxy.release();
    const rolledBack: OpenSave[] = [];
    for (const save of open) if (await isRolledBack(postgres, save.xid)) rolledBack.push(save);
    return rolledBack;
  }

  /** Folders of parts that never got their name: an insert was writing them. */
  async #partsBegun(bornAtMs: number): Promise<number> {
    const folder = join(this.#clickHouseDir, EVENTS_FOLDER);
    const names = await readdir(folder).catch(() => []);
    const begun = names.filter((name) => name.startsWith('tmp_insert'));
    const stats = await Promise.all(begun.map((name) => stat(join(folder, name))));
    return stats.filter(({ mtimeMs }) => mtimeMs >= bornAtMs).length;
  }

  async #rowsNotCommitted(notLoaded: readonly Produced[]): Promise<number> {
    const before = this.#loaded;
    this.#loaded = await findLoaded(this.#clickHouseDir, notLoaded);
    return [...this.#loaded].filter((row) => !before.has(row)).length;
  }
}

interface StoredProgress extends PartitionProgress {
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

async function isRolledBack(postgres: Postgres, xid: string): Promise<boolean> {
  for (;;) {
    const { rows } = await postgres.query<{ status: string }>('SELECT pg_xact_status($1::xid8) AS status', [
      xid,
    ]);
    if (rows[0]?.status !== 'in progress') return rows[0]?.status === 'aborted';
    await sleep(systemClock, POLL_MS);
  }
}

async function readWitness(postgres: Postgres, after: number): Promise<readonly Witnessed[]> {
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

function isSettled(progress: readonly PartitionProgress[], source: string): boolean {
  const [partition, offset] = source.split(':').map(Number);
  const own = progress.find((one) => one.partition === partition);
  return own !== undefined && Number(offset) < own.readPosition && !inRanges(own.unfinished, Number(offset));
}

const sourcesOf = ({ partitions, offsets }: Witnessed): readonly string[] =>
  offsets.map((offset, index) => `${partitions[index]}:${offset}`);

/** Those of the rows that ClickHouse has, as `uuid offset`. */
async function findLoaded(dir: string, rows: readonly Produced[]): Promise<ReadonlySet<string>> {
  const loaded = new Set<string>();
  if (rows.length === 0 || !existsSync(join(dir, EVENTS_FOLDER))) return loaded;
  const clickhouse = await openClickHouse({ dir });
  try {
    for (let from = 0; from < rows.length; from += PAIRS_PER_QUERY) {
      const some = rows.slice(from, from + PAIRS_PER_QUERY);
      const pairs = some.map(({ uuid, offset }) => `('${uuid}', ${offset})`).join();
      const sql = `SELECT DISTINCT concat(toString(uuid), ' ', toString(_offset)) AS row FROM events
        WHERE (toString(uuid), _offset) IN (${pairs})`;
      for (const { row } of parseRows(await clickhouse.query(sql))) loaded.add(String(row));
    }
    return loaded;
  } finally {
    await clickhouse.close();
  }
}
