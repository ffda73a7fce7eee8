/** What a benchmark is, and how the CPU time of one side is taken. */
import type { Parts } from '../src/parts.ts';

/** Ours and its floor do the same work in turn; what counts is the ratio of their costs. */
export interface Benchmark {
  readonly name: string;
  /** What ours is measured against, in a few words. */
  readonly floor: string;
  /** What its costs are counted in. */
  readonly unit: Unit;
  readonly eventsPerRound: number;
  readonly rounds: number;
  /** What this machine lacks to run it, in words that follow "needs". */
  missing?(): Promise<string | undefined>;
  /** Starts what both sides need; each thing goes into `parts`, which ends it. */
  start(parts: Parts): Promise<Contest>;
}

/** CPU time in microseconds, duration in microseconds, or memory. */
export type Unit = 'µs' | 'µs elapsed' | 'bytes';

export interface Contest {
  /** Before each round, not measured: what both sides are going to take. */
  prepare?(): Promise<void>;
  ours(): Promise<Cost>;
  floor(): Promise<Cost>;
}

export type Side = 'ours' | 'floor';

export interface Cost {
  /** Of all events of the round together, in the benchmark's unit. */
  readonly total: number;
  /** What else was seen on the way; not in the ratio. */
  readonly asides?: readonly Aside[];
}

export interface Aside {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
}

/** CPU time of this process, with all of its threads, while `run` runs. */
export async function cpuOf(run: () => Promise<void>): Promise<Cost> {
  globalThis.gc?.();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return { total: user + system };
}
