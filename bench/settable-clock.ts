/** The machine's clock, which can be set forward: what is to happen in ten minutes happens in a second. */
import { type Clock, systemClock } from '../src/clock.ts';

export interface SettableClock extends Clock {
  /** The time until then passes at once. `wallMs`: milliseconds since the epoch, by this clock. */
  setForwardTo(wallMs: number): void;
}

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
  cancel: () => void;
}

export function settableClock(): SettableClock {
  const timers = new Set<Timer>();
  let aheadMs = 0;
  const monotonic = () => systemClock.monotonic() + aheadMs;
  const arm = (timer: Timer) => {
    timer.cancel = systemClock.after(Math.max(0, timer.atMs - monotonic()), () => {
      timers.delete(timer);
      timer.run();
    });
  };
  return {
    now: () => systemClock.now() + aheadMs,
    monotonic,
    after(delayMs, run) {
      const timer: Timer = { atMs: monotonic() + delayMs, run, cancel: () => {} };
      timers.add(timer);
      arm(timer);
      return () => {
        timers.delete(timer);
        timer.cancel();
      };
    },
    setForwardTo(wallMs) {
      aheadMs += Math.max(0, wallMs - (systemClock.now() + aheadMs));
      for (const timer of timers) {
        timer.cancel();
        arm(timer);
      }
    },
  };
}
