/** Whether the log can be written: what failed last, and the tries that find out when it works again. */
import type { Cancel, Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';

interface Surroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probeEveryMs: number;
  readonly probeBytesMin: number;
  /** Writes this many bytes and throws them away. Its outcome comes back as `failed` or `succeeded`. */
  readonly probe: (bytes: number) => Promise<void>;
}

/**
 * Modes: writable -> failing, when a transaction fails -> writable, when one of the same size or more is durable.
 * While failing it probes: a process that is not ready gets no events, so nothing else would show that it is again.
 */
export class WriteTrouble {
  readonly #surroundings: Surroundings;
  #text: string | undefined;
  #failedBytes = 0;
  #cancel: Cancel = () => {};
  #closed = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Why the log cannot be written at the moment, if so. */
  get text(): string | undefined {
    return this.#text;
  }

  failed({ message }: Error, bytes: number): void {
    const isNew = this.#text === undefined;
    this.#text = message;
    this.#failedBytes = Math.max(this.#failedBytes, bytes, this.#surroundings.probeBytesMin);
    if (!isNew || this.#closed) return;
    this.#surroundings.logger.error({ error: message }, 'the log cannot be written: events are refused');
    this.#schedule();
  }

  succeeded(bytes: number): void {
    if (this.#text === undefined || bytes < this.#failedBytes) return;
    this.#text = undefined;
    this.#failedBytes = 0;
    this.#cancel();
    this.#surroundings.logger.info({}, 'the log is written again');
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): void {
    const { clock, probe, probeEveryMs } = this.#surroundings;
    this.#cancel = clock.after(probeEveryMs, () => {
      void probe(this.#failedBytes)
        .catch(() => {})
        .finally(() => {
          if (this.#text !== undefined && !this.#closed) this.#schedule();
        });
    });
  }
}
