/**
 * Lets everything run that can run without time passing. The simulated parts answer through promises and the
 * simulated clock; actors take each message in a `setImmediate`. So all is quiet once no immediate is waiting and the
 * microtasks have run, and this file has to know which immediates wait: it puts its own functions in front of Node's.
 */
import type { SimClock } from './sim-clock.ts';

const nodeSetImmediate = globalThis.setImmediate;
const nodeClearImmediate = globalThis.clearImmediate;
const waiting = new Set<NodeJS.Immediate>();

globalThis.setImmediate = Object.assign(
  <Args extends unknown[]>(run: (...args: Args) => void, ...args: Args): NodeJS.Immediate => {
    const immediate = nodeSetImmediate(() => {
      waiting.delete(immediate);
      run(...args);
    });
    waiting.add(immediate);
    return immediate;
  },
  { __promisify__: nodeSetImmediate.__promisify__ },
);
globalThis.clearImmediate = (immediate) => {
  if (immediate !== undefined) waiting.delete(immediate);
  nodeClearImmediate(immediate);
};

/** A promise that resolves after the microtasks; immediates go on waiting. */
const microtasks = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

/** A promise that resolves after the immediates that are waiting now, and the microtasks. */
const turn = (): Promise<void> => new Promise((resolve) => void nodeSetImmediate(resolve));

/** Resolves when nothing more happens unless time passes. */
export async function settle(): Promise<void> {
  await microtasks();
  while (waiting.size > 0) await turn();
}

/**
 * Lets time pass: timers run one by one, and after each whatever follows from it. `isBurst`: the next timer, if it is due
 * at the same moment, comes before the actors' turn; so answers arrive together.
 */
export async function advance(
  clock: SimClock,
  forMs: number,
  isBurst: () => boolean = () => false,
): Promise<void> {
  const untilMs = clock.monotonic() + forMs;
  await settle();
  while (clock.step(untilMs)) {
    if (clock.isDue() && isBurst()) await microtasks();
    else await settle();
  }
}
