/** Whether the log can be written: what failed last, and the tries that find out when it works again. */
import type { Cancel, Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';

interface Surroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probeEveryMs: number;
  readonly probeBytesMin: number;
  /** Writes this many bytes, as events would be, and throws them away. */
  readonly probe: (bytes: number) => Promise<void>;
}

/**
 * Modes: writable -> failing, when a write fails -> writable, when a probe of its size succeeds.
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

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): void {
    const { clock, probeEveryMs } = this.#surroundings;
    this.#cancel = clock.after(probeEveryMs, () => void this.#try());
  }

  async #try(): Promise<void> {
    const { probe, logger } = this.#surroundings;
    try {
      await probe(this.#failedBytes);
    } catch (error) {
      this.#text = error instanceof Error ? error.message : String(error);
      if (!this.#closed) this.#schedule();
      return;
    }
    this.#text = undefined;
    this.#failedBytes = 0;
    logger.info({}, 'the log is written again');
  }
}
