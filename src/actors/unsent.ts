/**
 * What former owners saved of a partition's records that have left the log, and may not have sent. Of other records it is
 * sent when they are read again; these nobody will read. Until all of it is durable no progress of the partition
 * may be saved: with it the notes of these saves go, and nobody would know of them any more.
 */
import { type Clock, sleep } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { FoldedRange } from '../storage/person-store.ts';
import { type Stage, Waiting } from './drain.ts';

export interface UnsentOptions {
  /** Calls back once all that these saves wrote is durable, and never when the session ends before. */
  readonly resend: (ranges: readonly FoldedRange[], onSent: () => void) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: {
    /** Persons and groups that are asked for together; those of one save always are. */
    readonly resendAtOnceMax: number;
    readonly recoverBackoffMinMs: number;
    readonly recoverBackoffMaxMs: number;
  };
}

export class Unsent implements Stage {
  readonly #options: UnsentOptions;
  readonly #ranges = new Set<FoldedRange>();
  readonly #sent = new Set<FoldedRange>();
  readonly #waiting = new Waiting();
  #isClosed = false;
  /** Why nothing leaves at the moment. */
  stalled: string | undefined;

  constructor(options: UnsentOptions) {
    this.#options = options;
  }

  /** Of what was added before nothing is sent again. */
  add(ranges: readonly FoldedRange[]): void {
    const isSending = !this.isEmpty;
    for (const range of ranges) if (!this.#sent.has(range)) this.#ranges.add(range);
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
    return this.#waiting.until(this.isIdle);
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting.end();
  }

  /** Until it is taken: the session may be one that cannot be replaced now. */
  async #send(): Promise<void> {
    const { resend, clock, logger, limits } = this.#options;
    let backoffMs = limits.recoverBackoffMinMs;
    while (!this.isIdle) {
      const part = this.#nextPart();
      try {
        await new Promise<void>((onSent, onFailure) => resend(part, onSent).catch(onFailure));
        this.stalled = undefined;
        backoffMs = limits.recoverBackoffMinMs;
        for (const range of part) {
          this.#ranges.delete(range);
          this.#sent.add(range);
        }
      } catch (error) {
        this.stalled = error instanceof Error ? error.message : String(error);
        logger.warn({ error: this.stalled, retryInMs: backoffMs }, 'saved persons cannot be read');
        await sleep(clock, backoffMs);
        backoffMs = Math.min(backoffMs * 2, limits.recoverBackoffMaxMs);
      }
    }
    this.#waiting.end();
  }

  #nextPart(): readonly FoldedRange[] {
    const part: FoldedRange[] = [];
    let count = 0;
    for (const range of this.#ranges) {
      part.push(range);
      count += range.persons.length + range.groups.length;
      if (count >= this.#options.limits.resendAtOnceMax) break;
    }
    return part;
  }
}
