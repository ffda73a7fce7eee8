/** Time as an input. The core takes a `Clock`; only this file reads the machine's. */

export type Cancel = () => void;

export interface Clock {
  /** Wall time in milliseconds since the epoch. May step backwards. */
  now(): number;
  /** Milliseconds since an arbitrary start. Never steps backwards: timers and durations use it. */
  monotonic(): number;
  /** Calls `run` once after `delayMs`, unless cancelled first. */
  after(delayMs: number, run: () => void): Cancel;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** What the promise gives, or `undefined` when that takes longer. */
export async function within<Value>(
  clock: Clock,
  delayMs: number,
  promise: Promise<Value>,
): Promise<Value | undefined> {
  let cancel: Cancel = () => {};
  const late = new Promise<undefined>((resolve) => {
    cancel = clock.after(delayMs, () => resolve(undefined));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}
