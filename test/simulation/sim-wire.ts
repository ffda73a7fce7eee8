/**
 * What stands between a process and the world: calls take time and may fail before or after they have happened. When
 * the process dies nothing is heard of it any more, but what it has sent may still arrive.
 */
import type { Clock } from '../../src/clock.ts';
import type { Random } from './random.ts';

export interface Weather {
  /** Milliseconds at most until a call happens, and again until it is answered. */
  readonly delayMsMax: number;
  /** How likely a call is to fail. */
  readonly failures: number;
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

export class Wire {
  readonly #options: WireOptions;
  #cut = false;
  /** Names of calls that have been sent and have not happened. */
  readonly #sent: string[] = [];
  /** The process's own: its timers end with it. */
  readonly clock: Clock;

  constructor(options: WireOptions) {
    this.#options = options;
    const { clock } = options;
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (delayMs, run) => clock.after(delayMs, () => this.hear(run)),
    };
  }

  get isCut(): boolean {
    return this.#cut;
  }

  cut(): void {
    this.#cut = true;
  }

  /** Whether such a call is on its way: it may happen or not. */
  hasSent(name: string): boolean {
    return this.#sent.includes(name);
  }

  /** Runs it if the process lives. */
  hear(run: () => void): void {
    if (!this.#cut) run();
  }

  /** `lost`: the error where the connection is lost. */
  call<Result>(
    name: string,
    happen: () => Result | Promise<Result>,
    lost: () => Error = connectionLost,
  ): Promise<Result> {
    const { random, weather, clock, onStep } = this.#options;
    const fails = clock.monotonic() < weather.fairFromMs && random.chance(weather.failures);
    const failure = fails ? random.pick(['before', 'after']) : undefined;
    return new Promise((resolve, reject) => {
      if (this.#cut) return;
      const answer = (tell: () => void) =>
        this.#later(() => {
          onStep(`answer to ${name}`);
          this.hear(tell);
        });
      this.#sent.push(name);
      this.#later(() => {
        onStep(name);
        this.#sent.splice(this.#sent.indexOf(name), 1);
        if (this.#cut && random.chance(0.5)) return;
        if (failure === 'before') {
          answer(() => reject(lost()));
          return;
        }
        // Within this call: what happens later is another transaction.
        const happening = attempt(happen);
        void happening.then(
          (result) => answer(() => (failure === 'after' ? reject(lost()) : resolve(result))),
          (error) => answer(() => reject(error)),
        );
      });
    });
  }

  #later(run: () => void): void {
    const { clock, random, weather } = this.#options;
    const delayMs = random.int(0, weather.delayMsMax);
    if (delayMs === 0) run();
    else clock.after(delayMs, run);
  }
}

const connectionLost = (): Error => new Error('the connection was lost');

async function attempt<Result>(happen: () => Result | Promise<Result>): Promise<Result> {
  return happen();
}
