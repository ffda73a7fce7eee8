/** Whether Kafka can be written and read: what failed last, and a look from time to time while nothing is sent. */
import type { Cancel, Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { KafkaLimits } from './connect.ts';

interface TroubleOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Pick<KafkaLimits, 'probeEveryMs' | 'produceQuietMs'>;
  /** Rejects when no broker answers. */
  readonly probe: () => Promise<unknown>;
}

/**
 * Modes: well -> troubled, when a request or a probe fails -> well, when one succeeds and no produce request has failed
 * for `produceQuietMs`: a broker that answers probes, or takes some partitions, may still refuse the others.
 */
export class KafkaTrouble {
  readonly #options: TroubleOptions;
  #text: string | undefined;
  /** Monotonic time of the last produce request that failed. */
  #produceFailedAt = Number.NEGATIVE_INFINITY;
  #cancel: Cancel = () => {};
  #closed = false;

  constructor(options: TroubleOptions) {
    this.#options = options;
    this.#schedule();
  }

  get text(): string | undefined {
    return this.#text;
  }

  /** A produce request failed. */
  failed(error: unknown): void {
    this.#produceFailedAt = this.#options.clock.monotonic();
    this.#set(error);
  }

  /** A request was answered well. */
  succeeded(): void {
    const { clock, limits, logger } = this.#options;
    if (this.#text === undefined) return;
    if (clock.monotonic() - this.#produceFailedAt < limits.produceQuietMs) return;
    this.#text = undefined;
    logger.info({}, 'Kafka can be used again');
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #set(error: unknown): void {
    const text = `Kafka: ${error instanceof Error ? error.message : String(error)}`;
    if (this.#text === undefined) this.#options.logger.error({ error: text }, 'Kafka cannot be used');
    this.#text = text;
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(this.#options.limits.probeEveryMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      await this.#options.probe();
      this.succeeded();
    } catch (error) {
      if (!this.#closed) this.#set(error);
    }
    this.#schedule();
  }
}
