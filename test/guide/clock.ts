/** A clock for readers: it is noon, and stays noon until a test says otherwise. What waits, waits in real time. */
import type { Cancel, Clock } from '../../src/clock.ts';

export const NOON = Date.parse('2026-11-22T12:00:00.000Z');

interface Timer {
  /** Monotonic. */
  readonly at: number;
  readonly run: () => void;
  timeout: NodeJS.Timeout | undefined;
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
    const timer: Timer = { at: this.monotonic() + delayMs, run, timeout: undefined };
    this.#timers.add(timer);
    this.#set(timer);
    return () => this.#drop(timer);
  }

  /** So much time passes at once, and whatever was due by then happens. */
  skip(ms: number): void {
    this.#skippedMs += ms;
    for (const timer of this.#timers) this.#set(timer);
  }

  #set(timer: Timer): void {
    clearTimeout(timer.timeout);
    timer.timeout = setTimeout(
      () => {
        this.#drop(timer);
        timer.run();
      },
      Math.max(0, timer.at - this.monotonic()),
    );
  }

  #drop(timer: Timer): void {
    clearTimeout(timer.timeout);
    this.#timers.delete(timer);
  }
}
