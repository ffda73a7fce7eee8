/** What the worker counts. */
import { type Fate, ROW } from '../event/outcome.ts';
import type { Metrics } from '../metrics.ts';
import type { Flushed } from './flusher.ts';
import type { ReleaseReason } from './hold-report.ts';
import type { PauseReason } from './lane.ts';

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
  const merges = metrics.counter('tributary_worker_persons_merged_total', 'Persons merged into another one');
  const releases = metrics.counter(
    'tributary_worker_released_total',
    'Held events that went on: their id got a person, their time was over, or memory was short',
    ['reason'],
  );
  const pauses = metrics.counter(
    'tributary_worker_pauses_total',
    'Bounds that were reached, so that a partition was not read for a while',
    ['reason'],
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
      for (const { saved } of flushed) {
        const { written, merged, outcomes } = saved.folded;
        if (written.length > 0) persons.inc(written.length);
        if (merged.length > 0) merges.inc(merged.length);
        for (const outcome of outcomes) {
          if (outcome.kind === 'failed') stageFailures.inc({ stage: outcome.stage });
        }
      }
    },
    released(reason: ReleaseReason, count: number): void {
      releases.inc({ reason }, count);
    },
    paused(reason: PauseReason): void {
      pauses.inc({ reason });
    },
  };
}
