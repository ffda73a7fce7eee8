/** How long the event loop stands still. */
export interface Pause {
  /** By the clock: on a busy machine most of it is spent waiting for a core. */
  readonly elapsedMs: number;
  /** CPU time that the process, with all of its threads, took at most meanwhile. */
  readonly cpuMs: number;
}

const EVERY_MS = 2;

/** Watches until it is asked for the longest pauses; each of the two is that of another pause, perhaps. */
export function watchPauses(): () => Pause {
  let longest: Pause = { elapsedMs: 0, cpuMs: 0 };
  let last = { ms: performance.now(), cpu: process.cpuUsage() };
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(last.cpu);
    const elapsedMs = performance.now() - last.ms - EVERY_MS;
    longest = {
      elapsedMs: Math.max(longest.elapsedMs, elapsedMs),
      cpuMs: Math.max(longest.cpuMs, Math.min(elapsedMs, (user + system) / 1_000)),
    };
    last = { ms: performance.now(), cpu: process.cpuUsage() };
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    return longest;
  };
}
