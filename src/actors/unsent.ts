/**
 * What former owners saved of a partition's records that have left the log, and may not have sent. Of other records it is
 * sent when they are read again; these nobody will read. Until all of it is durable no progress of the partition
 * may be saved: with it the notes of these saves go, and nobody would know of them any more.
 */
import type { FoldedRange } from '../storage/person-store.ts';
import type { Stage } from './drain.ts';

export interface UnsentOptions {
  /** Resolves once all that these saves wrote is durable, and never when the session ends before. */
  readonly resend: (ranges: readonly FoldedRange[]) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

export class Unsent implements Stage {
  readonly #options: UnsentOptions;
  readonly #ranges = new Set<FoldedRange>();
  #isClosed = false;
  #onIdle: (() => void)[] = [];

  constructor(options: UnsentOptions) {
    this.#options = options;
  }

  add(ranges: readonly FoldedRange[]): void {
    const isSending = !this.isEmpty;
    for (const range of ranges) this.#ranges.add(range);
    if (!isSending && !this.isEmpty) void this.#send();
  }

  /** All of it is durable. */
  get isEmpty(): boolean {
    return this.#ranges.size === 0;
  }

  get isIdle(): boolean {
    return this.#isClosed || this.isEmpty;
  }

  /** Resolves once all of it is durable, or the session is closed. */
  drained(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  close(): void {
    this.#isClosed = true;
    this.#rest();
  }

  /** What a failure leaves here the next session finds again: only the progress before it was saved. */
  async #send(): Promise<void> {
    try {
      while (!this.isIdle) {
        const ranges = [...this.#ranges];
        await this.#options.resend(ranges);
        for (const range of ranges) this.#ranges.delete(range);
      }
      this.#rest();
    } catch (error) {
      if (!this.#isClosed) this.#options.onFailure(error);
    }
  }

  #rest(): void {
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
