/** The records that wait for one partition, in order. */
import type { Message } from 'kafkajs';
import type { KafkaLimits } from './connect.ts';
import type { PendingAppend } from './pending-append.ts';

export interface Entry {
  readonly append: PendingAppend;
  /** Place of the record in its append. */
  readonly index: number;
  readonly message: Message;
  readonly bytes: number;
}

export function laneName(topicName: string, partition: number): string {
  return `${topicName} ${partition}`;
}

export class Lane {
  readonly name: string;
  readonly topicName: string;
  readonly partition: number;
  readonly #limits: KafkaLimits;
  entries: Entry[] = [];
  /** Monotonic time before which nothing is sent. */
  retryAt = 0;
  #backoffMs = 0;
  #recordsMax = Number.POSITIVE_INFINITY;

  constructor(topicName: string, partition: number, limits: KafkaLimits) {
    this.name = laneName(topicName, partition);
    this.topicName = topicName;
    this.partition = partition;
    this.#limits = limits;
  }

  /** Takes a batch off the head. */
  take(recordsMax: number): readonly Entry[] {
    let count = 0;
    let bytes = 0;
    for (const entry of this.entries) {
      bytes += entry.bytes;
      if (count > 0 && (bytes > this.#limits.batchBytesMax || count >= recordsMax)) break;
      if (count >= this.#recordsMax) break;
      count++;
    }
    return this.entries.splice(0, count);
  }

  putBack(entries: readonly Entry[]): void {
    this.entries = [...entries, ...this.entries];
  }

  /** Forgets what nobody waits for any more. Returns the bytes of it. */
  dropOver(): number {
    let bytes = 0;
    if (!this.entries.some(({ append }) => append.isOver)) return bytes;
    this.entries = this.entries.filter((entry) => {
      if (entry.append.isOver) bytes += entry.bytes;
      return !entry.append.isOver;
    });
    return bytes;
  }

  succeeded(): void {
    this.retryAt = 0;
    this.#backoffMs = 0;
    this.#recordsMax = Number.POSITIVE_INFINITY;
  }

  failed(now: number): void {
    const { retryBackoffMinMs, retryBackoffMaxMs } = this.#limits;
    this.#backoffMs = Math.min(Math.max(2 * this.#backoffMs, retryBackoffMinMs), retryBackoffMaxMs);
    this.retryAt = now + this.#backoffMs;
  }

  /** A batch of so many records was refused for one of them: the next one is half as long. */
  sendFewer(records: number): void {
    this.#recordsMax = Math.ceil(records / 2);
  }
}
