/** Appends wait here, are put into batches, and are sent again until Kafka has them or their time is over. */
import type { Message, RecordMetadata, TopicMessages } from 'kafkajs';
import { type Cancel, type Clock, sleep } from '../../clock.ts';
import { LogFullError, LogUnavailableError, type Position } from '../event-log.ts';
import { type KafkaLimits, kafkaErrorType } from './connect.ts';
import type { KafkaMetrics } from './kafka-metrics.ts';
import { messageBytes, type PlacedRecord, toMessage } from './message.ts';
import { PendingAppend } from './pending-append.ts';
import { type Entry, Lane, laneName } from './producer-lane.ts';

interface Surroundings {
  /** Sends one request without trying again. */
  readonly send: (topicMessages: TopicMessages[]) => Promise<readonly RecordMetadata[]>;
  readonly onSent: () => void;
  readonly onFailure: (error: unknown) => void;
  readonly clock: Clock;
  readonly limits: KafkaLimits;
  readonly metrics: KafkaMetrics;
}

interface Batch {
  readonly lane: Lane;
  readonly entries: readonly Entry[];
}

const START_AGAIN = 'a process reads the number of partitions when it starts: start this one again';

/** Kafka's words for a batch of which a record is at fault: alone it would be refused again and again. */
const RECORD_FAULTS: readonly (string | undefined)[] = [
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_TIMESTAMP',
  'INVALID_RECORD',
  'CORRUPT_MESSAGE',
];

/**
 * Modes: idle -> waiting (for company, `lingerMs`) -> sending (one request at a time, until nothing waits) -> idle.
 *
 * One request takes the head of each partition's lane, so what was appended earlier has the lower offset, also when
 * a batch is sent again. kafkajs gives one error for a whole request. Where Kafka named it, its batches are sent one by
 * one, which may write a batch twice (as every retry may), and the partitions that work are not held up by one that
 * does not. Where it has no name (no connection, no answer) all of them wait, those for other brokers as well.
 */
export class Producer {
  readonly #surroundings: Surroundings;
  readonly #lanes = new Map<string, Lane>();
  /** In the order of their deadlines. */
  readonly #pending = new Set<PendingAppend>();
  #queueBytes = 0;
  #mode: 'idle' | 'waiting' | 'sending' = 'idle';
  #allSent: Promise<void> = Promise.resolve();
  #cancelDeadline: Cancel | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  async append(records: readonly PlacedRecord[], signal?: AbortSignal): Promise<readonly Position[]> {
    if (records.length === 0) return [];
    const { clock, limits } = this.#surroundings;
    const messages = records.map(toMessage);
    const sizes = messages.map(messageBytes);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    if (this.#queueBytes > 0 && this.#queueBytes + bytes > limits.queueBytesMax) {
      throw new LogFullError('Too many bytes are waiting for Kafka.');
    }
    return new Promise((resolve, reject) => {
      const settle = {
        resolve: (positions: readonly Position[]) => {
          this.#pending.delete(append);
          resolve(positions);
        },
        reject: (error: Error) => {
          this.#pending.delete(append);
          reject(error);
        },
      };
      const deadline = clock.monotonic() + limits.appendTimeoutMs;
      const append = new PendingAppend(records.length, deadline, settle, signal);
      for (const [index, message] of messages.entries()) {
        const { topicName = '', partition = 0 } = records[index] ?? {};
        this.#laneOf(topicName, partition).entries.push({ append, index, message, bytes: sizes[index] ?? 0 });
      }
      this.#pending.add(append);
      this.#countBytes(bytes);
      this.#watchDeadlines();
      if (this.#mode === 'idle') this.#allSent = this.#sendAll();
    });
  }

  /** Resolves when nothing waits any more. */
  drain(): Promise<void> {
    return this.#allSent;
  }

  /** Rejects whatever still waits. */
  close(): void {
    this.#cancelDeadline?.();
    for (const append of this.#pending) append.reject(new LogUnavailableError('The log was closed.'));
  }

  #laneOf(topicName: string, partition: number): Lane {
    const name = laneName(topicName, partition);
    const lane = this.#lanes.get(name) ?? new Lane(topicName, partition, this.#surroundings.limits);
    this.#lanes.set(name, lane);
    return lane;
  }

  #countBytes(change: number): void {
    this.#queueBytes += change;
    this.#surroundings.metrics.queueBytes.set(this.#queueBytes);
  }

  async #sendAll(): Promise<void> {
    const { clock, limits } = this.#surroundings;
    this.#mode = 'waiting';
    await sleep(clock, limits.lingerMs);
    this.#mode = 'sending';
    while (this.#queueBytes > 0) {
      const batches = this.#take();
      if (batches.length > 0) await this.#send(batches);
      else if (this.#queueBytes > 0) await sleep(clock, limits.retryBackoffMinMs);
    }
    this.#mode = 'idle';
  }

  /** The heads of the lanes that are not waiting for their next try, as many as fit one request. */
  #take(): Batch[] {
    const { clock, limits } = this.#surroundings;
    const now = clock.monotonic();
    const batches: Batch[] = [];
    let records = 0;
    let bytes = 0;
    // Of those that there are now: a lane that is put at the end of the line would have another turn.
    for (const [name, lane] of [...this.#lanes]) {
      this.#countBytes(-lane.dropOver());
      if (lane.entries.length === 0 || lane.retryAt > now) continue;
      if (records >= limits.requestRecordsMax || bytes >= limits.requestBytesMax) break;
      const entries = lane.take(limits.requestRecordsMax - records);
      batches.push({ lane, entries });
      records += entries.length;
      for (const entry of entries) bytes += entry.bytes;
      // To the end of the line, so that no lane is always left out.
      this.#lanes.delete(name);
      this.#lanes.set(name, lane);
    }
    return batches;
  }

  async #send(batches: readonly Batch[]): Promise<void> {
    try {
      await this.#request(batches);
    } catch (error) {
      if (batches.length === 1 || kafkaErrorType(error) === undefined) {
        for (const batch of batches) this.#failed(batch, error);
        return;
      }
      for (const batch of batches) {
        await this.#request([batch]).catch((reason: unknown) => this.#failed(batch, reason));
      }
    }
  }

  async #request(batches: readonly Batch[]): Promise<void> {
    const { clock, metrics, send, onSent } = this.#surroundings;
    const topics = new Map<string, Message[]>();
    for (const { lane, entries } of batches) {
      const messages = topics.get(lane.topicName) ?? [];
      topics.set(lane.topicName, messages);
      for (const { message } of entries) messages.push(message);
    }
    const startedAt = clock.monotonic();
    let written: readonly RecordMetadata[];
    try {
      written = await send([...topics].map(([topic, messages]) => ({ topic, messages })));
    } finally {
      metrics.produceSeconds.observe((clock.monotonic() - startedAt) / 1000);
    }
    const baseOffsets = new Map(
      written.map(({ topicName, partition, baseOffset }) => [laneName(topicName, partition), baseOffset]),
    );
    if (batches.every(({ lane }) => baseOffsets.has(lane.name))) onSent();
    for (const batch of batches) {
      const { lane, entries } = batch;
      const firstOffset = baseOffsets.get(lane.name);
      if (firstOffset === undefined) {
        // kafkajs leaves out, without a word, what is for a partition that it does not find.
        this.#failed(
          batch,
          new Error(`there is no partition ${lane.partition} of ${lane.topicName}; ${START_AGAIN}`),
        );
        continue;
      }
      const baseOffset = Number(firstOffset);
      let bytes = 0;
      for (const [index, entry] of entries.entries()) {
        bytes += entry.bytes;
        entry.append.wrote(entry.index, { partition: lane.partition, offset: baseOffset + index });
      }
      lane.succeeded();
      this.#countBytes(-bytes);
      metrics.producedRecords.inc({ topic: lane.topicName }, entries.length);
      metrics.producedBytes.inc({ topic: lane.topicName }, bytes);
    }
  }

  #failed({ lane, entries }: Batch, error: unknown): void {
    const { clock, metrics, onFailure } = this.#surroundings;
    metrics.produceFailures.inc();
    if (!RECORD_FAULTS.includes(kafkaErrorType(error))) {
      lane.putBack(entries);
      lane.failed(clock.monotonic());
      onFailure(error);
      return;
    }
    const [first, ...others] = entries;
    if (others.length > 0) {
      lane.putBack(entries);
      lane.sendFewer(entries.length);
    } else if (first) {
      this.#countBytes(-first.bytes);
      const text = error instanceof Error ? error.message : String(error);
      first.append.reject(
        new RangeError(
          `Kafka refuses record ${first.index} (${first.bytes} bytes, ${lane.topicName}): ${text}`,
        ),
      );
    }
  }

  #watchDeadlines(): void {
    const { clock, limits } = this.#surroundings;
    const [oldest] = this.#pending;
    if (this.#cancelDeadline || !oldest) return;
    this.#cancelDeadline = clock.after(oldest.deadline - clock.monotonic(), () => {
      this.#cancelDeadline = undefined;
      const now = clock.monotonic();
      for (const append of this.#pending) {
        if (append.deadline > now) break;
        append.reject(new LogUnavailableError(`Kafka did not take it within ${limits.appendTimeoutMs} ms.`));
      }
      this.#watchDeadlines();
    });
  }
}
