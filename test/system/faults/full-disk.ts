/** A small file system that can be full: a tmpfs, which only root of Linux may mount. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';

export interface SmallDisk {
  /** Fills it up, as something else on the disk does. */
  fill(): Promise<void>;
  /** Gives that back. */
  free(): Promise<void>;
}

/** Why no small disk can be made here; `false` when one can. For a test's `skip`. */
export const noSmallDisk: string | false =
  process.platform === 'linux' && process.getuid?.() === 0 && canMount()
    ? false
    : 'needs to mount a tmpfs: Linux, as root';

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Mounts one on `dir`, until `t` ends. Call it before the system is started, so that it outlives the system. */
export function smallDisk(t: Test, dir: string, mib: number): SmallDisk {
  mkdirSync(dir, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', dir]);
  t.teardown(() => execFileSync('umount', ['--lazy', dir]));
  const ballast = join(dir, 'ballast');
  return {
    async fill() {
      const file = await open(ballast, 'a');
      try {
        for (;;) await file.write(PAGE);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      } finally {
        await file.close();
      }
    },
    free: () => rm(ballast, { force: true }),
  };
}

const PAGE = Buffer.alloc(4096, 1);
