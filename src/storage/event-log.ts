/**
 * The port of the log: partitioned, durable, replayable. Adapters: `embedded/` on lmdb; Kafka follows.
 * `test/contract/event-log.ts` is the suite that every adapter runs through.
 */
import type { Topic } from './topics.ts';

export interface AppendRecord {
  readonly topic: Topic;
  /** Chooses the partition as Kafka's default partitioner does (murmur2). `null`: any partition. */
  readonly key: string | null;
  /** A string is written as UTF-8. */
  readonly value: Uint8Array | string;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; kept as given. */
  readonly timestamp: number;
}

export interface LogRecord extends AppendRecord {
  readonly value: Uint8Array;
  readonly partition: number;
  readonly offset: number;
}

export interface Position {
  readonly partition: number;
  readonly offset: number;
}

export interface TopicPartition {
  readonly topic: Topic;
  readonly partition: number;
}

export interface PartitionOffsets {
  readonly partition: number;
  /** Offset of the oldest record that is still there (equal to `end` when there is none). */
  readonly first: number;
  /** Offset that the next record will get. */
  readonly end: number;
}

/** A partition given to this subscriber. */
export interface Assignment extends TopicPartition {
  /** Number of this assignment, larger than that of every earlier one of this log object. */
  readonly generation: number;
}

export interface Subscriber {
  /** Name of the consumer group: its commits are kept under it, each partition goes to one member. */
  readonly group: string;
  readonly topics: readonly Topic[];
  /** At most so many records in one call of `onRecords`. */
  readonly recordsMax: number;
  /** Awaited before the partition's first record. Returns the offset to start at, or `committed`. */
  onAssign(assignment: Assignment): Promise<number | 'committed'>;
  /** The partition is no longer ours; nothing of this assignment arrives after it. */
  onRevoke(assignment: Assignment): void;
  /** Records of one partition in offset order. Must return at once: back-pressure is `pause`, not a slow handler. */
  onRecords(assignment: Assignment, records: readonly LogRecord[]): void;
  /** Something went wrong that the log cannot mend by itself. The subscription has stopped. */
  onError(error: Error): void;
}

export interface Subscription {
  /** No further records of this partition until `resume` (those already handed over are not taken back). */
  pause(at: TopicPartition): void;
  resume(at: TopicPartition): void;
  /** The next record of this partition is the one at `offset`, or the first one after it. */
  rewind(at: TopicPartition, offset: number): void;
  /**
   * Everything below `offset` is done. Durable when it resolves. Ignored for an assignment that is over.
   * One commit at a time for each partition, and never backwards: the caller's duty.
   */
  commit(assignment: Assignment, offset: number): Promise<void>;
  /** Revokes what is assigned, then resolves. */
  close(): Promise<void>;
}

export interface TailHandle {
  close(): Promise<void>;
}

export interface EventLog {
  /** Tells this log from another one with the same names: progress kept elsewhere belongs to it. */
  identity(): string;
  /** Why it cannot be written or read at the moment, if so. It goes on by itself when it can be again. */
  trouble(): string | undefined;
  partitionCount(topic: Topic): Promise<number>;
  /**
   * Resolves once every record is durable (fsynced here, in sync with acks=all elsewhere), with their positions
   * in the order given. Records of one call and one partition get rising offsets. Rejects with `LogFullError`
   * (bound reached, nothing written) or `LogUnavailableError` (outcome unknown); on Kafka with `RangeError` when a record
   * is refused for its own sake. `signal`: what is not on its way when it is aborted need not be sent any more.
   */
  append(records: readonly AppendRecord[], signal?: AbortSignal): Promise<readonly Position[]>;
  subscribe(subscriber: Subscriber): Promise<Subscription>;
  /** Every record of `topics` appended from now on (the position is fixed when this resolves), without a group. */
  tail(topics: readonly Topic[], onRecords: (records: readonly LogRecord[]) => void): Promise<TailHandle>;
  offsets(topic: Topic): Promise<readonly PartitionOffsets[]>;
  committed(group: string, topic: Topic): Promise<ReadonlyMap<number, number>>;
  close(): Promise<void>;
}

/** The log has reached its bound: try again later. Nothing was written. */
export class LogFullError extends Error {
  override readonly name = 'LogFullError';
}

/** The log could not be reached or did not answer; the records may or may not be in it. */
export class LogUnavailableError extends Error {
  override readonly name = 'LogUnavailableError';
}
