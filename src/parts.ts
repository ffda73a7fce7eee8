/** The life of the system's parts: started in order, stopped in reverse. */
import type { Logger } from './logger.ts';

interface Part {
  readonly name: string;
  /** Settles when the part has started, or has failed to; gives what stops it. */
  readonly started: Promise<(() => Promise<void>) | undefined>;
}

export class Parts {
  readonly #parts: Part[] = [];
  readonly #logger: Logger;
  #stopping: Promise<void> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Starts a part. Its place in the order is that of this call, not of its completion, so parts may start side by
   * side. Rejects with what `start` rejects with, or because the system is being stopped.
   */
  start<T>(name: string, start: () => Promise<T>, stop: (part: T) => Promise<void>): Promise<T> {
    if (this.#stopping !== undefined) return Promise.reject(new StoppedError());
    const part = start();
    this.#parts.push({
      name,
      started: part.then(
        (value) => () => stop(value),
        () => undefined,
      ),
    });
    return part;
  }

  /** Names of the parts that have been asked to start, in order. */
  names(): readonly string[] {
    return this.#parts.map(({ name }) => name);
  }

  /** Stops every part, the last one first, each after the one before; a failure is logged and passed over. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (const { name, started } of this.#parts.toReversed()) {
      try {
        const stop = await started;
        await stop?.();
        this.#logger.debug({ part: name }, 'stopped');
      } catch (error) {
        this.#logger.error({ part: name, error: String(error) }, 'this part did not stop cleanly');
      }
    }
  }
}

/** The system is being stopped while it starts. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';

  constructor() {
    super('stopped while starting');
  }
}
