/** Time that moves only when the driver says. */
import type { Cancel, Clock } from '../../src/clock.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class SimClock implements Clock {
  readonly #epochMs: number;
  #elapsedMs = 0;
  /** By time, then by creation. */
  readonly #timers: Timer[] = [];

  /** `epochMs`: what `now()` begins with. */
  constructor(epochMs: number) {
    this.#epochMs = epochMs;
  }

  now(): number {
    return this.#epochMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = { at: this.#elapsedMs + Math.max(0, delayMs), run };
    const before = this.#timers.findLastIndex(({ at }) => at <= timer.at);
    this.#timers.splice(before + 1, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** Whether a timer is due now. */
  isDue(): boolean {
    const [next] = this.#timers;
    return next !== undefined && next.at <= this.#elapsedMs;
  }

  /** Runs the next timer that is due by `untilMs` (monotonic). False: there is none, and it is `untilMs` now. */
  step(untilMs: number): boolean {
    const next = this.#timers[0];
    if (next === undefined || next.at > untilMs) {
      this.#elapsedMs = Math.max(this.#elapsedMs, untilMs);
      return false;
    }
    this.#timers.shift();
    this.#elapsedMs = Math.max(this.#elapsedMs, next.at);
    next.run();
    return true;
  }
}
