/** What a dead process leaves behind: read after its death and before the next start. */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRows } from '../../src/cli/client.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { inRanges } from '../../src/storage/offset-ranges.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { STORE_FOLDERS } from '../../src/stores.ts';
import type { Follower, PartitionProgress, Witnessed } from './torture-follow.ts';
import type { DeadLog, LogNews } from './torture-log.ts';
import type { PostgresProxy } from './torture-proxy.ts';
import type { Produced } from './torture-records.ts';
import { type OpenSave, readProgress, readWitness, rolledBackSaves } from './torture-saves.ts';

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

export interface Scene {
  readonly dataDir: string;
  readonly log: DeadLog;
  /** Not through the proxy. */
  readonly postgres: Postgres;
  readonly proxy: PostgresProxy;
  readonly follower: Follower;
}

const PAIRS_PER_QUERY = 5_000;

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
    const { log, follower, postgres, proxy } = this.#scene;
    const rolledBack = await rolledBackSaves(postgres, proxy);
    const partsBegun = await this.#partsBegun(bornAtMs);
    const news = await log.read();
    const progress = await readProgress(postgres);
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
