/** From the disk to the log: again and again until it has them, and what it will never take to the dead letters. */
import { type Clock, within } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { AppendRecord } from '../../storage/event-log.ts';
import { deadLetterOf } from './dead-letter.ts';
import type { Segment, Spool } from './spool.ts';

export interface DrainLimits {
  readonly drainRecordsMax: number;
  readonly drainBytesMax: number;
  readonly retryBackoffMinMs: number;
  readonly retryBackoffMaxMs: number;
  readonly readTriesMax: number;
}

interface DrainOptions {
  readonly spool: Pick<Spool, 'read' | 'remove'>;
  readonly append: (records: readonly AppendRecord[]) => Promise<unknown>;
  /** One event became a dead letter. */
  readonly onDeadLetter: () => void;
  readonly onDamaged: (bytes: number) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: DrainLimits;
}

/** The process is being stopped: what is left stays on the disk. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

export class Drain {
  readonly #options: DrainOptions;
  #backoffMs = 0;
  #isStopped = false;
  #stop: () => void = () => {};
  readonly #stopped = new Promise<void>((resolve) => {
    this.#stop = resolve;
  });

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  /**
   * Resolves once the log has confirmed every record of the segment, in order, and the segment is removed. What a process
   * that died had appended is appended again, with the same uuid. Rejects with `StoppedError` only.
   */
  async drain(segment: Segment): Promise<void> {
    const { spool, logger, onDamaged } = this.#options;
    const found = await this.#read(segment);
    if (found === undefined) {
      onDamaged(segment.bytes);
      return spool.remove(segment, true);
    }
    const { records, damagedBytes } = found;
    if (damagedBytes > 0) {
      onDamaged(damagedBytes);
      logger.error(
        { number: segment.number, damagedBytes },
        'the spool holds damaged records: they are left out',
      );
    }
    let isKept = damagedBytes > 0;
    for (const batch of this.#batches(records)) {
      if (!(await this.#append(batch))) isKept = true;
    }
    await spool.remove(segment, isKept);
  }

  stop(): void {
    this.#isStopped = true;
    this.#stop();
  }

  async #read(segment: Segment): Promise<Awaited<ReturnType<Spool['read']>> | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#options.spool.read(segment);
      } catch (error) {
        const text = { number: segment.number, error: String(error) };
        this.#options.logger.error(text, 'a file of the spool cannot be read');
        if (tries >= this.#options.limits.readTriesMax) return undefined;
        await this.#pause();
      }
    }
  }

  *#batches(records: readonly AppendRecord[]): Iterable<readonly AppendRecord[]> {
    const { drainRecordsMax, drainBytesMax } = this.#options.limits;
    let batch: AppendRecord[] = [];
    let bytes = 0;
    for (const record of records) {
      if (
        batch.length >= drainRecordsMax ||
        (batch.length > 0 && bytes + record.value.length > drainBytesMax)
      ) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push(record);
      bytes += record.value.length;
    }
    if (batch.length > 0) yield batch;
  }

  /** `false`: there was a record that not even the dead letters take. */
  async #append(batch: readonly AppendRecord[]): Promise<boolean> {
    const refusal = await this.#try(batch);
    if (refusal === undefined) return true;
    const [first] = batch;
    if (first === undefined || batch.length === 1) return first === undefined || this.#bury(first, refusal);
    // The log takes all or none of what it says no to: halves, in order, until the record at fault is alone.
    const middle = Math.ceil(batch.length / 2);
    const isFirstDone = await this.#append(batch.slice(0, middle));
    return (await this.#append(batch.slice(middle))) && isFirstDone;
  }

  async #bury(record: AppendRecord, refusal: RangeError): Promise<boolean> {
    const { onDeadLetter, clock, logger } = this.#options;
    const again = await this.#try([deadLetterOf(record, refusal.message, clock.now())]);
    if (again === undefined) {
      onDeadLetter();
      return true;
    }
    const uuid = record.headers['uuid'];
    logger.error({ uuid, error: again.message }, 'the log refuses an event, and its dead letter as well');
    return false;
  }

  /** Until the log answers: `undefined` when it has them all, a `RangeError` when it refuses one for its own sake. */
  async #try(records: readonly AppendRecord[]): Promise<RangeError | undefined> {
    for (;;) {
      if (this.#isStopped) throw new StoppedError();
      try {
        await this.#options.append(records);
        this.#backoffMs = 0;
        return undefined;
      } catch (error) {
        if (error instanceof RangeError) return error;
        this.#options.logger.debug({ error: String(error) }, 'the spool waits for the log');
        await this.#pause();
      }
    }
  }

  async #pause(): Promise<void> {
    const { clock, limits } = this.#options;
    const doubled = Math.max(2 * this.#backoffMs, limits.retryBackoffMinMs);
    this.#backoffMs = Math.min(doubled, limits.retryBackoffMaxMs);
    await within(clock, this.#backoffMs, this.#stopped);
    if (this.#isStopped) throw new StoppedError();
  }
}
