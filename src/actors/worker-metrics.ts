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
  const stageFailures = metrics.counter(
    'tributary_worker_stage_failures_total',
    'Events that a stage could not take',
    ['stage'],
  );
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
      for (const { folded } of flushed) {
        for (const outcome of folded.outcomes) {
          if (outcome.kind === 'failed') stageFailures.inc({ stage: outcome.stage });
        }
      }
      persons.inc(flushed.filter(({ folded }) => folded.changed).length);
    },
  };
}
