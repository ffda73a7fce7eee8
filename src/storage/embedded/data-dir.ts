/**
 * The data folder: one process at a time, and how commands find that process.
 *
 * A lock is a file `lock-<n>` that names its owner. When the owner is gone, the lock is taken over by making
 * `lock-<n+1>`, which only one process can do. The highest file is never removed, only marked as free: if stale
 * locks were removed and made anew, a second process could remove the first one's.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { LIMITS } from '../../limits.ts';

/** The folder is in use, or cannot be used. The message says what to do. */
export class DataDirError extends Error {
  override readonly name = 'DataDirError';
}

export interface DataDirLock {
  release(): Promise<void>;
}

/** What a running process tells the commands that look for it. */
export interface Running {
  readonly pid: number;
  readonly captureHost?: string;
  readonly capturePort?: number;
  readonly consoleHost?: string;
  readonly consolePort?: number;
  /** With its password; of the embedded server only. */
  readonly postgresUrl?: string;
}

/** A process, told apart from a later one with the same pid. */
interface Owner {
  readonly pid: number;
  readonly startedAt: string;
}

const LOCK = /^lock-(\d+)$/;
const RUNNING_FILE = 'running.json';

/** When the process started, in some unit; `undefined` when there is none of this pid. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // The second field, a name in parentheses, may hold spaces; the third one is the state, the 22nd the start.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const ps = promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)], { env });
  return ps.then(
    ({ stdout }) => stdout.trim() || undefined,
    () => undefined,
  );
}

async function lives(owner: Owner): Promise<boolean> {
  return (await startOf(owner.pid)) === owner.startedAt;
}

async function readJson<Shape extends object>(path: string): Promise<Partial<Shape>> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Others see the whole new content or the old one. Only this user can read it. */
async function writeWhole(path: string, content: object): Promise<void> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, JSON.stringify(content), { mode: 0o600 });
  await rename(draft, path);
}

/** Numbers of the locks, highest first. */
async function lockNumbers(dir: string): Promise<number[]> {
  const numbers = (await readdir(dir)).flatMap((name) => LOCK.exec(name)?.slice(1).map(Number) ?? []);
  return numbers.sort((a, b) => b - a);
}

const lockPath = (dir: string, number: number): string => join(dir, `lock-${number}`);

async function refuseIfOwned(dir: string, number: number): Promise<void> {
  const { pid, startedAt } = await readJson<Owner>(lockPath(dir, number));
  if (pid === undefined || startedAt === undefined || !(await lives({ pid, startedAt }))) return;
  throw new DataDirError(
    `the data folder ${dir} is in use by process ${pid}: stop that process, or set TRIBUTARY_DATA_DIR to another folder`,
  );
}

/** The number of the lock that now is ours. `draft` holds its content. */
async function takeLock(dir: string, draft: string): Promise<number> {
  for (let attempt = 0; attempt < LIMITS.dataDir.lockAttemptsMax; attempt += 1) {
    const [highest = 0] = await lockNumbers(dir);
    if (highest > 0) await refuseIfOwned(dir, highest);
    const number = highest + 1;
    try {
      await link(draft, lockPath(dir, number));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue;
      throw error;
    }
    const [newest, ...others] = await lockNumbers(dir);
    if (newest === number) {
      await Promise.all(others.map((other) => rm(lockPath(dir, other), { force: true })));
      return number;
    }
    await rm(lockPath(dir, number), { force: true });
  }
  throw new DataDirError(`the data folder ${dir} is being taken by other processes: try again`);
}

/** Makes the folder if need be. Rejects with `DataDirError` when another process has it or it cannot be written. */
export async function lockDataDir(folder: string): Promise<DataDirLock> {
  const dir = resolve(folder);
  const owner: Owner = { pid: process.pid, startedAt: (await startOf(process.pid)) ?? '' };
  const draft = join(dir, `lock.${randomUUID()}`);
  try {
    await mkdir(dir, { recursive: true });
    await writeFile(draft, JSON.stringify(owner));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DataDirError(
      `cannot write to the data folder ${dir} (${reason}): make it writable for this user, or set TRIBUTARY_DATA_DIR to another folder`,
    );
  }
  try {
    const number = await takeLock(dir, draft);
    return {
      async release() {
        await rm(join(dir, RUNNING_FILE), { force: true });
        // `npm run reset` removes the folder that it holds.
        if (await exists(dir)) await writeWhole(lockPath(dir, number), {});
      },
    };
  } finally {
    await rm(draft, { force: true });
  }
}

/** By this file commands find the running system; `release` of the lock removes it. */
export async function writeRunning(dir: string, running: Running): Promise<void> {
  const startedAt = (await startOf(running.pid)) ?? '';
  await writeWhole(join(dir, RUNNING_FILE), { ...running, startedAt });
}

/** `undefined` when nothing runs in this folder. */
export async function readRunning(dir: string): Promise<Running | undefined> {
  const { startedAt, ...running } = await readJson<Running & Owner>(join(dir, RUNNING_FILE));
  const { pid } = running;
  if (pid === undefined || startedAt === undefined || !(await lives({ pid, startedAt }))) return undefined;
  return { ...running, pid };
}
