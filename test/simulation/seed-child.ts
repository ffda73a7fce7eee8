/** A child process that examines seeds: gets ranges of them from its parent, and tells what it found. */
import { Metrics } from '../../src/metrics.ts';
import { examine, type FailedSeed } from './examine.ts';
import { type Counts, workerCounts } from './meetings.ts';

/** Seeds from `from` to before `to`. */
export interface Job {
  readonly from: number;
  readonly to: number;
  readonly processesMax: number | undefined;
}

export type Told =
  | { readonly kind: 'begins'; readonly seed: number }
  | { readonly kind: 'failed'; readonly failed: FailedSeed }
  /** All seeds of the job are done. `counts`: of everything that this child has done so far. */
  | {
      readonly kind: 'done';
      readonly seeds: number;
      readonly counts: readonly (readonly [string, number])[];
    };

const metrics = new Metrics();
const counts: Counts = new Map();

const tell = (told: Told): void => void process.send?.(told);

async function work({ from, to, processesMax }: Job): Promise<void> {
  for (let seed = from; seed < to; seed++) {
    tell({ kind: 'begins', seed });
    const { failed } = await examine(seed, { processesMax, metrics, counts, withTrace: false });
    if (failed) tell({ kind: 'failed', failed });
  }
  tell({ kind: 'done', seeds: to - from, counts: [...counts, ...(await workerCounts(metrics))] });
}

process.on('message', (job: Job) => void work(job));
process.on('disconnect', () => process.exit());
