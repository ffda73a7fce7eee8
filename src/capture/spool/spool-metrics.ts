/** What the spool tells about itself. */
import type { Metrics } from '../../metrics.ts';
import type { SpoolDepth } from './spool.ts';

export type SpoolMetrics = ReturnType<typeof spoolMetrics>;

export function spoolMetrics(metrics: Metrics) {
  const events = metrics.gauge(
    'tributary_spool_events',
    'Events on the disk of this process that wait for the log',
  );
  const bytes = metrics.gauge('tributary_spool_bytes', 'Bytes of them');
  const age = metrics.gauge('tributary_spool_oldest_seconds', 'How long the oldest of them has waited');
  return {
    /** `now`: milliseconds since the epoch. */
    show(depth: SpoolDepth, now: number): void {
      events.set(depth.events);
      bytes.set(depth.bytes);
      age.set(depth.oldestMs === undefined ? 0 : Math.max(0, now - depth.oldestMs) / 1000);
    },
    damagedBytes: metrics.counter(
      'tributary_spool_damaged_bytes_total',
      'Bytes of the spool that could not be read',
    ),
    deadLetters: metrics.counter(
      'tributary_capture_dead_lettered_total',
      'Events that became dead letters before they were on the log',
      ['reason'],
    ),
  };
}
