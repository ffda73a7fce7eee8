/**
 * Looks how far the worker is behind on each of its partitions, and whether anything is finished there. A partition
 * that has work, and on which nothing was finished for long although nothing is known to be in the way, is one that
 * only a restart may bring back.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { EventLog } from '../storage/event-log.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';

/** Where the worker stands in one partition. */
export interface Standing {
  readonly partition: number;
  readonly readPosition: number;
  /** Time of the last record that was read, milliseconds since the epoch. */
  readonly recordedAtMs: number | undefined;
  readonly inFlight: number;
  readonly held: number;
  /** Records that have their fate. After a recovery it may be lower for a while. */
  readonly finished: number;
  /** Why it is not being read at the moment. */
  readonly pausedBy: readonly string[];
}

export interface LagWatchOptions {
  readonly log: Pick<EventLog, 'offsets'>;
  readonly standings: () => readonly Standing[];
  /** Partitions of ours of which nothing is read yet. */
  readonly untaken: () => readonly number[];
  /** For this long a partition may have nothing but events that wait. */
  readonly holdMs: number;
  /** What is known to be in the way, and will go by itself. */
  readonly trouble: () => string | undefined;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly everyMs: number;
  readonly stalledAfterMs: number;
}

interface Seen {
  /** The most that was seen: what is done again after a recovery is no progress. */
  readonly finished: number;
  /** When a record last got its fate, or nothing was left to do. */
  readonly movedAtMs: number;
  /** The same, or when there was known trouble. */
  readonly excusedAtMs: number;
  /** When nothing was left to read. */
  readonly caughtUpAtMs: number;
}

export interface LagWatch {
  /** The partition that does not move, and what is known of it. */
  stalled(): string | undefined;
  close(): void;
}

export function watchLag(options: LagWatchOptions): LagWatch {
  const { log, standings, untaken, holdMs, trouble, clock, everyMs, stalledAfterMs } = options;
  const gauges = lagGauges(options.metrics);
  let seen = new Map<number, Seen>();
  let stalled: string | undefined;
  let cancel: Cancel = () => {};
  let closed = false;

  async function look(): Promise<void> {
    const ends = await log.offsets(INGESTION_TOPIC);
    if (closed) return;
    const nowMs = clock.monotonic();
    const isExcused = trouble() !== undefined;
    const now = new Map<number, Seen>();
    stalled = undefined;
    gauges.reset();
    const note = (partition: number, finished: number, isIdle: boolean, isCaughtUp: boolean): Seen => {
      const before = seen.get(partition);
      const hasMoved = before === undefined || isIdle || finished > before.finished;
      const movedAtMs = hasMoved ? nowMs : before.movedAtMs;
      const one = {
        finished: Math.max(finished, before?.finished ?? 0),
        movedAtMs,
        excusedAtMs: hasMoved || isExcused ? nowMs : before.excusedAtMs,
        caughtUpAtMs: isCaughtUp ? nowMs : (before?.caughtUpAtMs ?? Number.NEGATIVE_INFINITY),
      };
      now.set(partition, one);
      return one;
    };
    for (const { partition, readPosition, recordedAtMs, inFlight, held, finished, pausedBy } of standings()) {
      const end = ends.find((one) => one.partition === partition)?.end ?? readPosition;
      const lag = Math.max(0, end - readPosition);
      const is = note(partition, finished, lag === 0 && inFlight === 0, lag === 0);
      // Its first unread record came after the last one that was read, and after the last look that found none.
      const sinceReadMs = recordedAtMs === undefined ? Number.POSITIVE_INFINITY : clock.now() - recordedAtMs;
      const behindMs = lag === 0 ? 0 : Math.max(0, Math.min(sinceReadMs, nowMs - is.caughtUpAtMs));
      gauges.show(partition, {
        lag,
        behindMs: Number.isFinite(behindMs) ? behindMs : 0,
        held,
        stillMs: nowMs - is.movedAtMs,
      });
      const stillMs = nowMs - is.excusedAtMs;
      if (stillMs < stalledAfterMs + (held > 0 ? holdMs : 0)) continue;
      const why = pausedBy.length > 0 ? `paused by the bound of: ${pausedBy.join(', ')}` : 'not paused';
      stalled ??=
        `nothing of partition ${partition} was finished for ${Math.round(stillMs / 1000)} s: ` +
        `${lag} records behind, ${inFlight} in flight, ${held} held, ${why}`;
    }
    for (const partition of untaken()) {
      if (now.has(partition)) continue;
      const stillMs = nowMs - note(partition, 0, false, false).excusedAtMs;
      if (stillMs < stalledAfterMs) continue;
      stalled ??= `partition ${partition} was given to this worker ${Math.round(stillMs / 1000)} s ago, and is not taken`;
    }
    seen = now;
  }

  function schedule(): void {
    cancel = clock.after(everyMs, () => {
      // Without an answer of the log nothing can be said, and the log is what is in the way.
      void look()
        .catch(() => {
          seen = new Map();
          stalled = undefined;
        })
        .finally(() => {
          if (!closed) schedule();
        });
    });
  }
  schedule();
  return {
    stalled: () => stalled,
    close() {
      closed = true;
      cancel();
    },
  };
}

interface Shown {
  readonly lag: number;
  readonly behindMs: number;
  readonly held: number;
  readonly stillMs: number;
}

function lagGauges(metrics: Metrics) {
  const of = (name: string, help: string) => metrics.gauge(name, help, ['partition']);
  const records = of('tributary_worker_lag_records', 'Records of a partition of ours that are not read yet');
  const seconds = of('tributary_worker_lag_seconds', 'How long the first of them has waited, at most');
  const held = of('tributary_worker_held', 'Events that wait for somebody to say who they are about');
  const age = of('tributary_worker_progress_age_seconds', 'Since a record got its fate, while there is work');
  const all = [records, seconds, held, age];
  return {
    /** Forgets partitions that are somebody else's now. */
    reset: () => {
      for (const gauge of all) gauge.reset();
    },
    show(partition: number, shown: Shown): void {
      records.set({ partition }, shown.lag);
      seconds.set({ partition }, shown.behindMs / 1000);
      held.set({ partition }, shown.held);
      age.set({ partition }, shown.stillMs / 1000);
    },
  };
}
