/** The spool's folder: its files, and what is durable of them. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';

/** A segment that is being written. */
export interface SegmentFile {
  write(bytes: Buffer): Promise<void>;
  /** What was written is durable when it resolves. */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface SpoolFiles {
  /** Numbers of the segments, lowest first. Makes the folder if need be. */
  list(): Promise<readonly number[]>;
  read(number: number): Promise<Buffer>;
  /** Its name is durable when this resolves. */
  create(number: number): Promise<SegmentFile>;
  truncate(number: number, bytes: number): Promise<void>;
  remove(number: number): Promise<void>;
  /** Under another name, where nobody reads it again. Gives its path. */
  putAside(number: number): Promise<string>;
}

const SEGMENT = /^(\d{16})\.spool$/;

export function spoolFiles(dir: string): SpoolFiles {
  const pathOf = (number: number) => join(dir, `${String(number).padStart(16, '0')}.spool`);
  return {
    async list() {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const names = await readdir(dir);
      return names.flatMap((name) => SEGMENT.exec(name)?.slice(1).map(Number) ?? []).sort((a, b) => a - b);
    },
    read: (number) => readFile(pathOf(number)),
    async create(number) {
      const handle = await open(pathOf(number), 'wx', 0o600);
      await syncFolder(dir).catch(async (error: unknown) => {
        await handle.close();
        throw error;
      });
      return {
        write: (bytes) => handle.appendFile(bytes),
        sync: () => handle.datasync(),
        truncate: (bytes) => handle.truncate(bytes),
        close: () => handle.close(),
      };
    },
    truncate: (number, bytes) => truncate(pathOf(number), bytes),
    remove: (number) => rm(pathOf(number), { force: true }),
    async putAside(number) {
      // Numbers begin anew when the folder is empty: an earlier file of this one must stay.
      const path = `${pathOf(number)}.${randomUUID()}.aside`;
      await rename(pathOf(number), path);
      return path;
    },
  };
}

async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
