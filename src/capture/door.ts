/** Counts what comes in, and what ends at the door. */
import type { CutReason, DiscardReason, RefusalReason } from '../event/outcome.ts';
import type { Metrics } from '../metrics.ts';

/** Since the process began: requests by the reason of their refusal, events by what they were discarded as. */
export interface DoorCounts {
  readonly refused: Readonly<Record<string, number>>;
  readonly dead_lettered: Readonly<Record<string, number>>;
  readonly discarded: Readonly<Record<string, number>>;
}

const REQUEST_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10];

export class Door {
  readonly #refused = new Map<RefusalReason, number>();
  readonly #discarded = new Map<DiscardReason, number>();
  readonly #refusedTotal;
  readonly #discardedTotal;
  readonly #cutTotal;
  readonly #eventsTotal;
  readonly #requestSeconds;

  constructor(metrics: Metrics) {
    this.#refusedTotal = metrics.counter(
      'tributary_capture_refused_total',
      'Requests answered with an error, and single events of Capture V1',
      ['reason'],
    );
    this.#discardedTotal = metrics.counter(
      'tributary_capture_discarded_total',
      'Events taken and kept nowhere',
      ['reason'],
    );
    this.#cutTotal = metrics.counter(
      'tributary_capture_cut_total',
      'Connections that were ended without an answer',
      ['reason'],
    );
    this.#eventsTotal = metrics.counter(
      'tributary_capture_events_total',
      'Events that are durable, on the log or in the spool',
    );
    this.#requestSeconds = metrics.histogram(
      'tributary_capture_request_seconds',
      'Time from the first byte of a request to its answer',
      REQUEST_SECONDS,
    );
  }

  refuse(reason: RefusalReason): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
    this.#refusedTotal.inc({ reason });
  }

  discard(reason: DiscardReason, events: number): void {
    this.#discarded.set(reason, (this.#discarded.get(reason) ?? 0) + events);
    this.#discardedTotal.inc({ reason }, events);
  }

  cut(reason: CutReason): void {
    this.#cutTotal.inc({ reason });
  }

  accept(events: number): void {
    this.#eventsTotal.inc(events);
  }

  answered(seconds: number): void {
    this.#requestSeconds.observe(seconds);
  }

  counts(): DoorCounts {
    return {
      refused: Object.fromEntries(this.#refused),
      dead_lettered: {},
      discarded: Object.fromEntries(this.#discarded),
    };
  }
}
