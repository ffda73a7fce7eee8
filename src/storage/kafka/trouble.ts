/** Whether Kafka can be written and read: what failed last, and a look from time to time while nothing is sent. */
import type { Cancel, Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';

interface TroubleOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probeEveryMs: number;
  /** Rejects when no broker answers. */
  readonly probe: () => Promise<unknown>;
}

/** Modes: well -> troubled, when a request or a probe fails -> well, when one succeeds. */
export class KafkaTrouble {
  readonly #options: TroubleOptions;
  #text: string | undefined;
  #cancel: Cancel = () => {};
  #closed = false;

  constructor(options: TroubleOptions) {
    this.#options = options;
    this.#schedule();
  }

  get text(): string | undefined {
    return this.#text;
  }

  failed(error: unknown): void {
    const text = `Kafka: ${error instanceof Error ? error.message : String(error)}`;
    if (this.#text === undefined) this.#options.logger.error({ error: text }, 'Kafka cannot be used');
    this.#text = text;
  }

  succeeded(): void {
    if (this.#text === undefined) return;
    this.#text = undefined;
    this.#options.logger.info({}, 'Kafka can be used again');
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(this.#options.probeEveryMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      await this.#options.probe();
      this.succeeded();
    } catch (error) {
      if (!this.#closed) this.failed(error);
    }
    this.#schedule();
  }
}
