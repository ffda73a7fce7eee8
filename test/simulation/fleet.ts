/** Examines many seeds in as many child processes as the machine has cores. */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { FailedSeed } from './examine.ts';
import { add, type Counts } from './meetings.ts';
import type { Told } from './seed-child.ts';

export interface FleetOptions {
  readonly from: number;
  readonly seeds: number;
  readonly processesMax?: number | undefined;
  /** Ends once no seed below the so many first that fail is left: which those are is no matter of speed. */
  readonly failuresMax: number;
  /** A project with `src` and `test/simulation`; this one, unless it says another. */
  readonly root?: string;
  readonly onProgress?: (done: number) => void;
  readonly onFailure?: (failed: FailedSeed) => void;
}

export interface FleetResult {
  /** Seeds. */
  readonly done: number;
  readonly counts: Counts;
  readonly failures: readonly FailedSeed[];
}

const SEEDS_PER_JOB = 20;
/** One seed, and making it shorter if it fails. */
const ANSWER_MS = 5 * 60 * 1000;

export async function runFleet(options: FleetOptions): Promise<FleetResult> {
  const fleet = new Fleet(options);
  await Promise.all(Array.from({ length: availableParallelism() }, () => fleet.work()));
  return fleet.result();
}

class Fleet {
  readonly #options: FleetOptions;
  readonly #failures: FailedSeed[] = [];
  /** Of each child, all it has done so far. */
  readonly #counts = new Map<ChildProcess, readonly (readonly [string, number])[]>();
  #next: number;
  #done = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#next = options.from;
  }

  /** Keeps one child busy until no seed is left. */
  async work(): Promise<void> {
    const { root = join(import.meta.dirname, '..', '..') } = this.#options;
    const child = fork(join(root, 'test', 'simulation', 'seed-child.ts'), {
      cwd: root,
      // One child for each core: helper threads would only take turns with them.
      execArgv: ['--single-threaded-gc', '--import=tsx'],
    });
    try {
      while (await this.#job(child)) this.#options.onProgress?.(this.#done);
    } finally {
      if (child.connected) child.disconnect();
      child.kill();
    }
  }

  result(): FleetResult {
    const counts: Counts = new Map();
    for (const own of this.#counts.values()) for (const [name, times] of own) add(counts, name, times);
    return { done: this.#done, counts, failures: this.#firstFailures };
  }

  get #firstFailures(): readonly FailedSeed[] {
    return this.#failures.toSorted((a, b) => a.seed - b.seed).slice(0, this.#options.failuresMax);
  }

  get #isOver(): boolean {
    const { from, seeds, failuresMax } = this.#options;
    return this.#next >= from + seeds || this.#failures.length >= failuresMax;
  }

  /** False: there is nothing more to do, or the child is gone. */
  async #job(child: ChildProcess): Promise<boolean> {
    if (this.#isOver) return false;
    const { from, seeds, processesMax } = this.#options;
    const job = { from: this.#next, to: Math.min(this.#next + SEEDS_PER_JOB, from + seeds), processesMax };
    this.#next = job.to;
    child.send(job);
    return new Promise((resolve) => {
      let seed = job.from;
      const end = (isAlive: boolean) => {
        clearTimeout(timer);
        child.removeAllListeners();
        resolve(isAlive);
      };
      const lost = (failure: string) => {
        this.#fail({ seed, failure, records: Number.POSITIVE_INFINITY, report: `seed ${seed}: ${failure}` });
        end(false);
      };
      const timer = setTimeout(() => lost('it came to no end'), ANSWER_MS);
      child.on('error', (error) => lost(error.message));
      child.on('exit', (code) => lost(`the process ended with exit code ${code}`));
      child.on('message', (told: Told) => {
        timer.refresh();
        if (told.kind === 'begins') {
          seed = told.seed;
          if (this.#isBehindFailures(seed)) end(false);
        } else if (told.kind === 'failed') this.#fail(told.failed);
        else {
          this.#done += told.seeds;
          this.#counts.set(child, told.counts);
          end(true);
        }
      });
    });
  }

  #isBehindFailures(seed: number): boolean {
    const first = this.#firstFailures;
    return first.length >= this.#options.failuresMax && first.every((failed) => failed.seed < seed);
  }

  #fail(failed: FailedSeed): void {
    if (this.#isBehindFailures(failed.seed)) return;
    this.#failures.push(failed);
    this.#options.onFailure?.(failed);
  }
}
