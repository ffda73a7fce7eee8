/** A partition that this member has: where it is being read, what was fetched and is still to be handed over. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Batch, EachBatchPayload, KafkaMessage } from 'kafkajs';
import type { Assignment, LogRecord } from '../event-log.ts';
import type { Session } from './session.ts';

interface HoldingOptions {
  readonly assignment: Assignment;
  /** Name of the topic on Kafka. */
  readonly topicName: string;
  readonly recordsMax: number;
  readonly session: Pick<Session, 'pause' | 'resume' | 'seek'>;
  readonly onRecords: (records: readonly LogRecord[]) => void;
  /** Kafka went on at a lower offset than it was asked for: the log is not the one that it was. */
  readonly onReset: () => void;
}

type TakenBatch = Pick<EachBatchPayload, 'batch' | 'resolveOffset' | 'isStale'>;

/**
 * Modes: waiting (for its start) -> reading <-> paused; any -> over. kafkajs fetches it only while it is reading and
 * nothing of it waits to be handed over; the member's heartbeats go on in all of them.
 */
export class Holding {
  readonly assignment: Assignment;
  readonly #options: HoldingOptions;
  #mode: 'waiting' | 'reading' | 'over' = 'waiting';
  #paused = false;
  /** Offset after the last one that was fetched. */
  #position = 0;
  /** Where Kafka was sent back to because it had gone on elsewhere. */
  #soughtAgain = -1;
  /** Where its owner wants to go although it has not begun. */
  #rewoundTo: number | undefined;
  #fetched: LogRecord[] = [];
  #handingOver: Promise<void> | undefined;

  constructor(options: HoldingOptions) {
    this.#options = options;
    this.assignment = options.assignment;
    this.#stopFetching();
  }

  begin(offset: number): void {
    this.#mode = 'reading';
    this.#seek(this.#rewoundTo ?? offset);
    if (!this.#paused) this.#fetch();
  }

  pause(): void {
    this.#paused = true;
    this.#stopFetching();
  }

  resume(): void {
    this.#paused = false;
    if (this.#mode !== 'reading') return;
    void this.#handOver().then(() => {
      if (!this.#paused && this.#mode === 'reading') this.#fetch();
    });
  }

  rewind(offset: number): void {
    if (this.#mode === 'reading') this.#seek(offset);
    else this.#rewoundTo = offset;
  }

  /** After a rebalance kafkajs has forgotten where it was. */
  rejoined(): void {
    if (this.#mode === 'reading') this.#seek(this.#position, this.#fetched);
    else this.#stopFetching();
  }

  end(): void {
    this.#mode = 'over';
    this.#fetched = [];
  }

  /** Resolves when the records are handed over, or have to wait for `resume`. */
  async take({ batch, resolveOffset, isStale }: TakenBatch): Promise<void> {
    if (this.#mode !== 'reading' || this.#paused || this.#fetched.length > 0) return;
    // It has waited behind other partitions, and was asked for before the last rewind.
    if (isStale()) return;
    const from = fetchedOffset(batch);
    if (from < this.#position) {
      this.#options.onReset();
      return;
    }
    if (from > this.#position && this.#soughtAgain !== this.#position) {
      // What we want is gone or was skipped by kafkajs, if this is not an answer to an earlier question: ask again.
      this.#seek(this.#position);
      this.#soughtAgain = this.#position;
      return;
    }
    const { topic, partition } = this.assignment;
    resolveOffset(batch.lastOffset());
    this.#position = Number(batch.lastOffset()) + 1;
    this.#soughtAgain = -1;
    this.#fetched = batch.messages.map((message) => toRecord(message, topic, partition));
    await this.#handOver();
  }

  #seek(offset: number, fetched: LogRecord[] = []): void {
    const { session, topicName } = this.#options;
    this.#position = offset;
    this.#soughtAgain = -1;
    this.#fetched = fetched;
    session.seek(topicName, this.assignment.partition, offset);
  }

  #stopFetching(): void {
    this.#options.session.pause(this.#options.topicName, this.assignment.partition);
  }

  #fetch(): void {
    this.#options.session.resume(this.#options.topicName, this.assignment.partition);
  }

  #handOver(): Promise<void> {
    this.#handingOver ??= this.#handOverAll().finally(() => {
      this.#handingOver = undefined;
    });
    return this.#handingOver;
  }

  async #handOverAll(): Promise<void> {
    const { recordsMax, onRecords } = this.#options;
    while (this.#fetched.length > 0 && !this.#paused) {
      onRecords(this.#fetched.splice(0, recordsMax));
      if (this.#fetched.length > 0) await nextTurn();
    }
  }
}

/** The offset that kafkajs asked for: its types do not show it. */
function fetchedOffset(batch: Batch): number {
  return Number('fetchedOffset' in batch ? batch.fetchedOffset : batch.firstOffset());
}

const NO_BYTES = Buffer.alloc(0);

function toRecord(message: KafkaMessage, topic: Assignment['topic'], partition: number): LogRecord {
  const headers: Record<string, string> = {};
  for (const name in message.headers) headers[name] = String(message.headers[name] ?? '');
  return {
    topic,
    partition,
    offset: Number(message.offset),
    key: message.key === null ? null : message.key.toString(),
    value: message.value ?? NO_BYTES,
    headers,
    timestamp: Number(message.timestamp),
  };
}
