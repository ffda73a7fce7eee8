/**
 * What stands between a process and the world: calls take time and may fail before or after they have happened. When
 * the process dies nothing is heard of it any more, but what it has sent may still arrive. While it is frozen (SIGSTOP)
 * what it has sent happens as well; answers and timers wait for it.
 */
import type { Clock } from '../../src/clock.ts';
import type { Random } from './random.ts';

export interface Weather {
  /** Milliseconds at most until a call happens, and again until it is answered. */
  readonly delayMsMax: number;
  /** How likely a call is to fail. */
  readonly failures: number;
  /** How likely a transaction is to be rolled back. */
  readonly rollbacks: number;
  /** From then on (monotonic) nothing fails. */
  readonly fairFromMs: number;
}

export interface WireOptions {
  /** The world's. */
  readonly clock: Clock;
  readonly random: Random;
  readonly weather: Weather;
  /** Asked at each point where a process can die: before a call happens, and before it is answered. */
  readonly onStep: (name: string) => void;
}

/** How one of the other ends fails. */
export interface Ends {
  /** The error where the connection is lost. */
  readonly lost: () => Error;
  /** The error where the call happened, and was undone; absent where that cannot be. */
  readonly rolledBack?: (random: Random) => Error;
  /** It takes time, and does not fail. */
  readonly isSure?: boolean;
}

export class Wire {
  readonly #options: WireOptions;
  #cut = false;
  /** While frozen: what waits to be heard, in the order of each channel. */
  #waiting: Map<unknown, (() => void)[]> | undefined;
  /** Names of calls that have been sent and have not happened. */
  readonly #sent: string[] = [];
  /** How often the connections to each end broke. */
  readonly #breaks = new Map<Ends, number>();
  /** The process's own: its timers end with it. */
  readonly clock: Clock;

  constructor(options: WireOptions) {
    this.#options = options;
    const { clock } = options;
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (delayMs, run) => {
        let isCancelled = false;
        const cancel = clock.after(delayMs, () => {
          this.hear('timers', () => {
            if (!isCancelled) run();
          });
        });
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }

  get isCut(): boolean {
    return this.#cut;
  }

  get isFrozen(): boolean {
    return this.#waiting !== undefined;
  }

  cut(): void {
    this.#cut = true;
  }

  freeze(): void {
    this.#waiting ??= new Map();
  }

  /** Hears what has waited, one after another, from one channel or another. `then`: once it has. */
  thaw(then: () => void): void {
    const waiting = this.#waiting;
    if (waiting === undefined || this.#cut) return;
    const { clock, random } = this.#options;
    const channels = [...waiting.keys()];
    const channel = channels[random.int(0, channels.length - 1)];
    const queue = waiting.get(channel);
    const run = queue?.shift();
    if (queue?.length === 0) waiting.delete(channel);
    if (run === undefined) {
      this.#waiting = undefined;
      then();
      return;
    }
    run();
    clock.after(0, () => this.thaw(then));
  }

  /** Whether such a call is on its way: it may happen or not. */
  hasSent(name: string): boolean {
    return this.#sent.includes(name);
  }

  /** Runs it if the process lives. What comes by one channel is heard in order. */
  hear(channel: unknown, run: () => void): void {
    if (this.#cut) return;
    if (this.#waiting === undefined) {
      run();
      return;
    }
    const queue = this.#waiting.get(channel);
    if (queue) queue.push(run);
    else this.#waiting.set(channel, [run]);
  }

  /** Calls on their way to that end are lost, and so are its answers. */
  breakConnections(ends: Ends): void {
    this.#breaks.set(ends, this.#breaksOf(ends) + 1);
  }

  call<Result>(name: string, happen: () => Result | Promise<Result>, ends: Ends): Promise<Result> {
    const { random, onStep } = this.#options;
    const failure = this.#failure(ends);
    const breaks = this.#breaksOf(ends);
    return new Promise((resolve, reject) => {
      if (this.#cut) return;
      const answer = (tell: () => void) =>
        this.#later(() => {
          onStep(`answer to ${name}`);
          const isLost = this.#breaksOf(ends) > breaks;
          this.hear({}, isLost ? () => reject(ends.lost()) : tell);
        });
      this.#sent.push(name);
      this.#later(() => {
        onStep(name);
        this.#sent.splice(this.#sent.indexOf(name), 1);
        if (this.#cut && random.chance(0.5)) return;
        if (failure === 'before' || this.#breaksOf(ends) > breaks) {
          answer(() => reject(ends.lost()));
          return;
        }
        if (failure !== undefined && failure !== 'after') {
          answer(() => reject(failure));
          return;
        }
        // Within this call: what happens later is another transaction.
        const happening = attempt(happen);
        void happening.then(
          (result) => answer(() => (failure === 'after' ? reject(ends.lost()) : resolve(result))),
          (error) => answer(() => reject(error)),
        );
      });
    });
  }

  #failure({ rolledBack, isSure }: Ends): 'before' | 'after' | Error | undefined {
    const { random, weather, clock } = this.#options;
    if (isSure || clock.monotonic() >= weather.fairFromMs) return undefined;
    if (random.chance(weather.failures)) return random.pick(['before', 'after']);
    return rolledBack && random.chance(weather.rollbacks) ? rolledBack(random) : undefined;
  }

  #breaksOf(ends: Ends): number {
    return this.#breaks.get(ends) ?? 0;
  }

  #later(run: () => void): void {
    const { clock, random, weather } = this.#options;
    const delayMs = random.int(0, weather.delayMsMax);
    if (delayMs === 0) run();
    else clock.after(delayMs, run);
  }
}

async function attempt<Result>(happen: () => Result | Promise<Result>): Promise<Result> {
  return happen();
}
