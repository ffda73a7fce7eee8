/**
 * One topic on its way into its table. Records wait for company, are inserted as one batch, and only then are their
 * offsets committed; the next batch is cut when that is done. So rows stay in the order of their partition.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { DeadLetterReason } from '../event/outcome.ts';
import { LIMITS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import { CLICKHOUSE_TABLES, hasPartitionColumn } from '../storage/clickhouse/tables.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import type { Assignment, EventLog, LogRecord, Subscription } from '../storage/event-log.ts';
import type { ClickHouseTopic } from '../storage/topics.ts';
import { insertAround, type Refused } from './bisect.ts';
import { deadLetterOf } from './dead-letter.ts';
import type { LoaderMetrics } from './loader-metrics.ts';
import { Retry, StoppedError } from './retry.ts';
import { rowOf } from './row.ts';

/** A row that ClickHouse refused and that is now a dead letter. */
export interface RefusedRow {
  readonly topic: ClickHouseTopic;
  readonly partition: number;
  readonly offset: number;
  /** `<partition>:<offset>` of the ingestion record that the row was made of, where its record says so. */
  readonly source: string | undefined;
  readonly reason: DeadLetterReason;
  /** ClickHouse's words; they may quote the row. */
  readonly detail: string;
}

export interface LaneOptions {
  readonly topic: ClickHouseTopic;
  readonly log: EventLog;
  readonly clickhouse: ClickHouse;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: LoaderMetrics;
  readonly subscription: Promise<Subscription>;
  readonly onRowRefused: (refused: RefusedRow) => Promise<void>;
  /** A defect: the lane has stopped. */
  readonly onFault: (error: unknown) => void;
}

interface Waiting {
  readonly assignment: Assignment;
  readonly record: LogRecord;
  readonly since: number;
}

interface Row {
  readonly record: LogRecord;
  readonly text: Uint8Array;
}

/** Bytes of a record's envelope in memory, about. */
const ENVELOPE_BYTES = 200;
const bytesOf = ({ record }: Waiting): number => record.value.length + ENVELOPE_BYTES;

const { batchRowsMax, batchBytesMax, busyBatchRows, lingerMinMs, lingerMaxMs, waitingBytesMax } =
  LIMITS.loader;

export class Lane {
  readonly #options: LaneOptions;
  readonly #table: (typeof CLICKHOUSE_TABLES)[ClickHouseTopic];
  readonly #withPartition: boolean;
  readonly #retry: Retry;
  #queue: Waiting[] = [];
  #queueBytes = 0;
  /** Bytes of the batch that is being inserted. */
  #batchBytes = 0;
  readonly #paused = new Map<number, Assignment>();
  #lingerMs: number = lingerMinMs;
  #cancelLinger: Cancel | undefined;
  #loading: Promise<void> | undefined;
  #closed = false;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#table = CLICKHOUSE_TABLES[options.topic];
    this.#withPartition = hasPartitionColumn(this.#table);
    this.#retry = new Retry(options.clock, ({ what, error, retryInMs }) => {
      options.metrics.retries.inc({ table: this.#table });
      options.logger.warn({ table: this.#table, error: String(error), retryInMs }, `${what} failed`);
    });
  }

  /** What keeps rows from going in at the moment. */
  get trouble(): string | undefined {
    return this.#retry.trouble;
  }

  get needsRestart(): string | undefined {
    return this.#retry.needsRestart;
  }

  push(assignment: Assignment, records: readonly LogRecord[]): void {
    if (this.#closed) return;
    const since = this.#options.clock.monotonic();
    for (const record of records) {
      const waiting = { assignment, record, since };
      this.#queue.push(waiting);
      this.#queueBytes += bytesOf(waiting);
    }
    this.#weigh();
    if (this.#queueBytes + this.#batchBytes > waitingBytesMax && !this.#paused.has(assignment.partition)) {
      this.#paused.set(assignment.partition, assignment);
      this.#steer((subscription) => subscription.pause(assignment));
    }
    this.#wake();
  }

  /** The partition is somebody else's now. What is being inserted goes in; its commit will be ignored. */
  revoke(assignment: Assignment): void {
    this.#queue = this.#queue.filter((waiting) => waiting.assignment.generation !== assignment.generation);
    this.#queueBytes = this.#queue.reduce((bytes, waiting) => bytes + bytesOf(waiting), 0);
    this.#paused.delete(assignment.partition);
    this.#weigh();
  }

  /** Ends after the insert in progress and its commit. What waits is left to the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelLinger?.();
    this.#retry.stop();
    await this.#loading;
  }

  /** Starts a batch if one is due, or sees to it that this is asked again in time. */
  #wake(): void {
    const [oldest] = this.#queue;
    if (this.#closed || this.#loading !== undefined || oldest === undefined) return;
    const isFull = this.#queue.length >= batchRowsMax || this.#queueBytes >= batchBytesMax;
    const waitMs = this.#lingerMs - (this.#options.clock.monotonic() - oldest.since);
    if (isFull || waitMs <= 0) {
      this.#cancelLinger?.();
      this.#cancelLinger = undefined;
      this.#loading = this.#load(this.#take());
      return;
    }
    this.#cancelLinger ??= this.#options.clock.after(waitMs, () => {
      this.#cancelLinger = undefined;
      this.#wake();
    });
  }

  #take(): readonly Waiting[] {
    let rows = 0;
    let bytes = 0;
    for (const waiting of this.#queue) {
      if (rows === batchRowsMax || bytes >= batchBytesMax) break;
      rows++;
      bytes += bytesOf(waiting);
    }
    this.#queueBytes -= bytes;
    this.#batchBytes = bytes;
    return this.#queue.splice(0, rows);
  }

  async #load(batch: readonly Waiting[]): Promise<void> {
    try {
      const refused = await this.#insert(batch);
      if (refused.length > 0) await this.#bury(refused);
      await this.#commit(batch);
    } catch (error) {
      if (!(error instanceof StoppedError)) this.#options.onFault(error);
      this.#closed = true;
      return;
    }
    const isBusy = batch.length >= busyBatchRows;
    this.#lingerMs = isBusy
      ? Math.min(this.#lingerMs * 2, lingerMaxMs)
      : Math.max(this.#lingerMs / 2, lingerMinMs);
    this.#batchBytes = 0;
    this.#weigh();
    this.#resumeIfLight();
    this.#loading = undefined;
    this.#wake();
  }

  async #insert(batch: readonly Waiting[]): Promise<readonly Refused<LogRecord>[]> {
    const { clickhouse, clock, metrics } = this.#options;
    const rows: Row[] = [];
    const refused: Refused<LogRecord>[] = [];
    for (const { record } of batch) {
      const text = rowOf(record, this.#withPartition);
      if (text === undefined) refused.push({ row: record, detail: 'The record is not a JSON object.' });
      else rows.push({ record, text });
    }
    const start = clock.monotonic();
    const insert = (some: readonly Row[]) => {
      this.#retry.assertGoing();
      const texts = some.map(({ text }) => text);
      return this.#retry.untilDone(`insert into ${this.#table}`, () => clickhouse.insert(this.#table, texts));
    };
    for (const { row, detail } of await insertAround(rows, insert)) refused.push({ row: row.record, detail });
    metrics.insertSeconds.observe({ table: this.#table }, (clock.monotonic() - start) / 1000);
    metrics.rows.inc({ table: this.#table }, batch.length - refused.length);
    metrics.refused.inc({ table: this.#table }, refused.length);
    return refused;
  }

  /** Dead letters first, then their books: after a crash in between, both are made again and are the same. */
  async #bury(refused: readonly Refused<LogRecord>[]): Promise<void> {
    const { log, clock, logger, topic, onRowRefused } = this.#options;
    logger.warn({ table: this.#table, rows: refused.length }, 'ClickHouse refused rows');
    if (topic === 'events_dead_letter_queue') {
      // A dead letter of a dead letter would be refused as well.
      for (const { row } of refused) {
        logger.error(
          { partition: row.partition, offset: row.offset },
          'a dead letter was refused and is lost',
        );
      }
      return;
    }
    const letters = refused.map(({ row, detail }) => deadLetterOf(row, detail, clock.now()));
    for (let from = 0; from < letters.length; from += LIMITS.loader.deadLettersPerAppendMax) {
      const some = letters.slice(from, from + LIMITS.loader.deadLettersPerAppendMax);
      await this.#retry.untilDone('append of dead letters', () => log.append(some));
    }
    for (const { row, detail } of refused) {
      const { partition, offset, headers } = row;
      const source = headers['source'];
      await this.#retry.untilDone('note of a refused row', () =>
        onRowRefused({ topic, partition, offset, source, reason: 'refused_by_clickhouse', detail }),
      );
    }
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const subscription = await this.#options.subscription;
    const ends = new Map(
      batch.map(({ assignment, record }) => [assignment.generation, { assignment, record }]),
    );
    const commits = [...ends.values()].map(({ assignment, record }) =>
      this.#retry.untilDone('commit', () => subscription.commit(assignment, record.offset + 1)),
    );
    await Promise.all(commits);
  }

  #resumeIfLight(): void {
    if (this.#queueBytes >= waitingBytesMax / 2) return;
    for (const assignment of this.#paused.values())
      this.#steer((subscription) => subscription.resume(assignment));
    this.#paused.clear();
  }

  #steer(act: (subscription: Subscription) => void): void {
    this.#options.subscription.then(act).catch((error: unknown) => {
      if (!this.#closed) this.#options.onFault(error);
    });
  }

  #weigh(): void {
    this.#options.metrics.waitingBytes.set({ table: this.#table }, this.#queueBytes + this.#batchBytes);
  }
}
