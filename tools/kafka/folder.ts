/** Folders of brokers in the system's temporary folder, one for each run. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = /^tributary-kafka-(\d+)-/;

/** A new folder for this process. Removes those of processes that were killed and could not do so. */
export async function newRunFolder(): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(NAME.exec(name)?.[1]);
    if (pid > 0 && isGone(pid)) await removeFolder(join(tmpdir(), name));
  }
  return mkdtemp(join(tmpdir(), `tributary-kafka-${process.pid}-`));
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    // It belongs to another user.
    return !(error instanceof Error && 'code' in error && error.code === 'EPERM');
  }
}
