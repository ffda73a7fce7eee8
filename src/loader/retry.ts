/** Tries again until it works: for what fails because something is away. */
import type { Clock } from '../clock.ts';
import { LIMITS } from '../limits.ts';
import { ClickHouseEndedError, RowRefusedError } from '../storage/clickhouse-port.ts';

/** Given up because the loader closes. What was not committed is read again. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

export interface Failure {
  readonly what: string;
  readonly error: unknown;
  readonly retryInMs: number;
}

export class Retry {
  readonly #clock: Clock;
  readonly #onFailure: (failure: Failure) => void;
  /** What fails at the moment, and why. */
  trouble: string | undefined;
  /** Why trying again cannot help, if so: only a restart can. */
  needsRestart: string | undefined;
  #stopped = false;
  #endNap: () => void = () => {};

  constructor(clock: Clock, onFailure: (failure: Failure) => void) {
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  /** Rejects with `RowRefusedError` as `task` does, or with `StoppedError` when it fails after `stop`. */
  async untilDone<Result>(what: string, task: () => Promise<Result>): Promise<Result> {
    const { retryBackoffMinMs, retryBackoffMaxMs } = LIMITS.loader;
    for (
      let retryInMs: number = retryBackoffMinMs;
      ;
      retryInMs = Math.min(retryInMs * 2, retryBackoffMaxMs)
    ) {
      try {
        const result = await task();
        this.trouble = undefined;
        return result;
      } catch (error) {
        if (error instanceof RowRefusedError) throw error;
        this.assertGoing();
        this.trouble = `${what}: ${error instanceof Error ? error.message : String(error)}`;
        if (error instanceof ClickHouseEndedError) this.needsRestart = this.trouble;
        this.#onFailure({ what, error, retryInMs });
      }
      await this.#nap(retryInMs);
      this.assertGoing();
    }
  }

  assertGoing(): void {
    if (this.#stopped) throw new StoppedError('The loader is closing.');
  }

  stop(): void {
    this.#stopped = true;
    this.#endNap();
  }

  #nap(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(delayMs, resolve);
      this.#endNap = () => {
        cancel();
        resolve();
      };
    });
  }
}
