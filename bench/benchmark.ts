/** What a benchmark is, and how the CPU time of one side is taken. */
import type { Parts } from '../src/parts.ts';

/** Ours and its floor do the same work in turn; what counts is the ratio of their CPU times. */
export interface Benchmark {
  readonly name: string;
  /** What ours is measured against, in a few words. */
  readonly floor: string;
  readonly eventsPerRound: number;
  readonly rounds: number;
  /** Starts what both sides need; each thing goes into `parts`, which ends it. */
  start(parts: Parts): Promise<Contest>;
}

export interface Contest {
  /** Before each round, not measured: what both sides are going to take. */
  prepare?(): Promise<void>;
  ours(): Promise<Cost>;
  floor(): Promise<Cost>;
}

export type Side = 'ours' | 'floor';

export interface Cost {
  /** CPU time of the Node process with all of its threads, in microseconds. */
  readonly cpuUs: number;
  /** CPU time in microseconds of other processes that worked for it, by name; not in the ratio. */
  readonly others?: Readonly<Record<string, number>>;
}

/** CPU time of this process while `run` runs. */
export async function cpuOf(run: () => Promise<void>): Promise<Cost> {
  globalThis.gc?.();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: user + system };
}
