/** Hands the records of some partitions to a reader: one call for each turn of the event loop, fairly, and none when idle. */
import type { LogRecord } from '../event-log.ts';
import type { Partition } from './log-partition.ts';

/** Where a reader stands in one partition. */
export interface Cursor {
  readonly partition: Partition;
  /** Offset of the next record. */
  position: number;
  paused: boolean;
  readonly onRecords: (records: readonly LogRecord[]) => void;
}

export class Delivery {
  readonly #recordsMax: number;
  readonly #bytesMax: number;
  readonly #onError: (error: unknown) => void;
  /** The next one to be served stands first. */
  #cursors: readonly Cursor[] = [];
  #scheduled = false;

  constructor(recordsMax: number, bytesMax: number, onError: (error: unknown) => void) {
    this.#recordsMax = recordsMax;
    this.#bytesMax = bytesMax;
    this.#onError = onError;
  }

  get cursors(): readonly Cursor[] {
    return this.#cursors;
  }

  add(cursor: Cursor): void {
    this.#cursors = [...this.#cursors, cursor];
    this.wake();
  }

  remove(cursor: Cursor): void {
    this.#cursors = this.#cursors.filter((other) => other !== cursor);
  }

  close(): void {
    this.#cursors = [];
  }

  /** There may be something to deliver. */
  wake(): void {
    if (this.#scheduled || !this.#cursors.some(isReady)) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
      this.wake();
    });
  }

  #deliver(): void {
    const index = this.#cursors.findIndex(isReady);
    const cursor = this.#cursors[index];
    if (!cursor) return;
    this.#cursors = [...this.#cursors.slice(index + 1), ...this.#cursors.slice(0, index + 1)];
    try {
      const records = cursor.partition.read(cursor.position, this.#recordsMax, this.#bytesMax);
      cursor.position = (records.at(-1)?.offset ?? cursor.partition.end - 1) + 1;
      if (records.length > 0) cursor.onRecords(records);
    } catch (error) {
      this.#onError(error);
    }
  }
}

function isReady(cursor: Cursor): boolean {
  return !cursor.paused && cursor.position < cursor.partition.end;
}
