/** A clock for readers: it is noon, and stays noon until a test says otherwise. What waits, waits in real time. */
import type { Cancel, Clock } from '../../src/clock.ts';

export const NOON = Date.parse('2026-11-22T12:00:00.000Z');

interface Timer {
  /** Monotonic. */
  readonly at: number;
  readonly run: () => void;
  readonly timeout: NodeJS.Timeout;
}

export class GuideClock implements Clock {
  #skippedMs = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return NOON + this.#skippedMs;
  }

  monotonic(): number {
    return performance.now() + this.#skippedMs;
  }

  after(delayMs: number, run: () => void): Cancel {
    const ring = () => {
      this.#timers.delete(timer);
      run();
    };
    const timer: Timer = { at: this.monotonic() + delayMs, run: ring, timeout: setTimeout(ring, delayMs) };
    this.#timers.add(timer);
    return () => this.#drop(timer);
  }

  /** So much time passes at once, and whatever was due by then happens. */
  skip(ms: number): void {
    this.#skippedMs += ms;
    const due = [...this.#timers].filter(({ at }) => at <= this.monotonic()).sort((a, b) => a.at - b.at);
    for (const timer of due) {
      this.#drop(timer);
      timer.run();
    }
  }

  #drop(timer: Timer): void {
    clearTimeout(timer.timeout);
    this.#timers.delete(timer);
  }
}
