/** Where the figures come from: without it they mean nothing. */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';

export interface Machine {
  /** Short hash, with `+` where files have been changed since. */
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  /** Of the last minute, at the start. */
  readonly load: string;
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    commit: commitHere(),
    node: process.version,
    cpu: `${all.length} × ${all[0]?.model.trim() ?? 'unknown'}`,
    load: (loadavg()[0] ?? Number.NaN).toFixed(1),
  };
}

function commitHere(): string {
  const hash = git('rev-parse', '--short', 'HEAD');
  if (hash === '') return 'unknown';
  return git('status', '--porcelain', '--', 'src', 'bench') === '' ? hash : `${hash}+`;
}

function git(...args: readonly string[]): string {
  const { stdout } = spawnSync('git', args, { cwd: join(import.meta.dirname, '..'), encoding: 'utf8' });
  return stdout?.trim() ?? '';
}
