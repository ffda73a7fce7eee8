/** What the embedded log keeps on disk: two tables of one lmdb environment. The only file of it that opens lmdb. */
import { randomUUID } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Database } from 'lmdb';
import type { LIMITS } from '../../limits.ts';
import { LogFullError, LogUnavailableError } from '../event-log.ts';
import type { Topic } from '../topics.ts';

/**
 * Topic, partition, offset of the chunk's last record. So the first key at or above an offset is the chunk that
 * holds it.
 */
export type ChunkKey = [topic: Topic, partition: number, lastOffset: number];

/** `commit`: the offset. `group`: true, this group reads this topic. The rest describes the log. */
export type StateKey =
  | ['commit', group: string, topic: Topic, partition: number]
  | ['group', group: string, topic: Topic]
  | ['format' | 'identity' | 'partitions' | 'probe'];

export interface LogStore {
  readonly identity: string;
  readonly chunks: Database<Buffer, ChunkKey>;
  readonly state: Database<unknown, StateKey>;
  /**
   * Runs `put`, which puts and removes, as one transaction: all of it or nothing. Resolves once it is fsynced.
   * One at a time. Rejects with `LogFullError` or `LogUnavailableError`.
   */
  transaction(put: () => void): Promise<void>;
  /** Bytes that are free on its disk. */
  freeBytes(): number;
  /** Within a transaction: takes so many bytes on disk that nobody reads; 0 gives them back. */
  probe(bytes: number): void;
  close(): Promise<void>;
}

export type LogLimits = Readonly<Record<keyof typeof LIMITS.log, number>>;

const FORMAT = 1;

/** EFBIG, ENOSPC, EDQUOT, MDB_MAP_FULL: no space, and nothing was written. */
const FULL_CODES: readonly unknown[] = [27, 28, 122, -30792];
const EIO = 5;

export async function openStore(dir: string, partitions: number): Promise<LogStore> {
  if (!Number.isInteger(partitions) || partitions < 1) {
    throw new RangeError(`A log needs 1 or more partitions for each topic, not ${partitions}.`);
  }
  const { open } = await importLmdb();
  // Without overlappingSync the commit's promise waits for fdatasync and the meta page. Without
  // eventTurnBatching there is no promise inside lmdb whose rejection nobody handles.
  const root = open({ path: dir, noSubdir: false, overlappingSync: false, eventTurnBatching: false });
  // Events are much alike: LZ4 makes the file, and so the pages of it that the map keeps resident, a quarter.
  const chunks: Database<Buffer, ChunkKey> = root.openDB({
    name: 'chunks',
    encoding: 'binary',
    compression: true,
  });
  const state: Database<unknown, StateKey> = root.openDB({ name: 'state' });

  async function transaction(put: () => void): Promise<void> {
    try {
      await root.batch(put);
    } catch (error) {
      throw await toLogError(error);
    }
  }

  try {
    if (state.get(['format']) === undefined) {
      await transaction(() => {
        void state.put(['format'], FORMAT);
        void state.put(['identity'], randomUUID());
        void state.put(['partitions'], partitions);
      });
      await syncFolder(dir);
      await syncFolder(dirname(dir));
    }
    const format = state.get(['format']);
    if (format !== FORMAT) {
      throw new Error(
        `The log in ${dir} has format ${format}, and this version reads format ${FORMAT}. Use the version of Tributary that made it, or start afresh with "npm run reset".`,
      );
    }
    const existing = state.get(['partitions']);
    if (existing !== partitions) {
      throw new Error(
        `The log in ${dir} was made with ${existing} partitions for each topic and cannot change to ${partitions}: set EMBEDDED_PARTITIONS to ${existing}, or start afresh with "npm run reset".`,
      );
    }
  } catch (error) {
    await root.close();
    throw error;
  }
  return {
    identity: String(state.get(['identity'])),
    chunks,
    state,
    transaction,
    freeBytes() {
      const { bavail, bsize } = statfsSync(dir);
      return bavail * bsize;
    },
    probe: (bytes) =>
      void (bytes === 0 ? state.remove(['probe']) : state.put(['probe'], Buffer.alloc(bytes))),
    close: () => root.close(),
  };
}

/** Makes the names of new files in it durable; lmdb syncs the files alone. */
async function syncFolder(dir: string): Promise<void> {
  const folder = await openFile(dir);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function importLmdb(): Promise<Pick<typeof import('lmdb'), 'open'>> {
  try {
    return await import('lmdb');
  } catch (cause) {
    throw new Error(
      'The embedded log needs the optional package lmdb, which did not load. Run "npm install --include=optional".',
      { cause },
    );
  }
}

/** lmdb rejects with an error that carries a promise of the cause. */
async function toLogError(error: unknown): Promise<Error> {
  let cause = error;
  if (error instanceof Error && 'commitError' in error) {
    cause = await Promise.resolve(error.commitError).catch((reason: unknown) => reason);
  }
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (FULL_CODES.includes(code)) return new LogFullError(`No space left for the log: ${text}`, { cause });
  // A write that a full disk cuts short is an input/output error to lmdb.
  const hint = code === EIO ? ' (is the disk full?)' : '';
  return new LogUnavailableError(`Writing to the log failed: ${text}${hint}`, { cause });
}
