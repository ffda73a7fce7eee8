/** What the worker counts. */
import { type Fate, ROW } from '../event/outcome.ts';
import type { Metrics } from '../metrics.ts';
import type { Flushed } from './flusher.ts';

export type WorkerMetrics = ReturnType<typeof workerMetrics>;

export function workerMetrics(metrics: Metrics) {
  const fates = metrics.counter('tributary_worker_fates_total', 'Records that got their fate', [
    'fate',
    'reason',
  ]);
  const persons = metrics.counter('tributary_worker_persons_saved_total', 'Persons written to Postgres');
  const saves = metrics.counter('tributary_worker_flushes_total', 'Flushes');
  const rows = fates.labels(ROW.kind, '');
  return {
    brokenBeliefs: metrics.counter(
      'tributary_worker_broken_beliefs_total',
      'Persons whose unsaved work was redone',
    ),
    recoveries: metrics.counter('tributary_worker_recoveries_total', 'Replays after a failure'),
    finished(fate: Fate): void {
      if (fate.kind === 'row') rows.inc();
      else fates.inc({ fate: fate.kind, reason: fate.reason });
    },
    saved(flushed: readonly Flushed[]): void {
      saves.inc();
      persons.inc(flushed.filter(({ folded }) => folded.changed).length);
    },
  };
}
