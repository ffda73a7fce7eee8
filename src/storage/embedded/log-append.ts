/** Group commit: what comes while one transaction is written shares the next one, and its fsync. */
import type { Clock } from '../../clock.ts';
import { type AppendRecord, LogFullError, LogUnavailableError, type Position } from '../event-log.ts';
import { encodeChunk, encodedBytesMax, footprint, recordBytes } from './log-codec.ts';
import type { Partition } from './log-partition.ts';
import type { RecentChunks } from './log-recent.ts';
import type { ChunkKey, LogLimits, LogStore } from './log-store.ts';

export interface PlacedRecord {
  readonly record: AppendRecord;
  readonly partition: Partition;
}

/** A unit of work: all of it goes into one transaction. */
export interface Write {
  readonly records: readonly PlacedRecord[];
  /** Further puts and removals of the same transaction. */
  readonly put?: () => void;
  /** Bytes of these puts, where they are many. */
  readonly putBytes?: number;
  /** Runs once the transaction is durable, before anybody hears of it. */
  readonly onDurable?: () => void;
}

/** What is told of every transaction. `bytes`: of its records. */
export interface Outcomes {
  onDurable(): void;
  onFailure(error: Error, bytes: number): void;
}

interface WaitingWrite extends Write {
  readonly bytes: number;
  readonly resolve: (positions: readonly Position[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Records of one partition that are stored under one key. */
interface Chunk {
  readonly partition: Partition;
  readonly records: AppendRecord[];
  bytes: number;
}

interface Put {
  readonly partition: Partition;
  readonly firstOffset: number;
  readonly key: ChunkKey;
  readonly value: Buffer;
}

/** What one transaction puts, and what is true once it is durable. */
interface Transaction {
  readonly positions: readonly (readonly Position[])[];
  readonly puts: readonly Put[];
  readonly bounds: ReadonlyMap<Partition, { readonly end: number; readonly bytesAfter: number }>;
}

/**
 * Modes: idle -> writing (one transaction at a time, until nothing waits) -> idle; writing -> stuck when a
 * transaction takes longer than `commitTimeoutMs`: all is refused until it has ended -> writing.
 *
 * A transaction that fails leaves nothing on disk, so the next one starts from the same bounds. Where lmdb cannot
 * tell (its last page was not written) it takes no further transaction: stuck, until a restart reads the disk.
 */
export class GroupCommit {
  readonly #store: LogStore;
  readonly #recent: RecentChunks;
  readonly #clock: Clock;
  readonly #limits: LogLimits;
  readonly #outcomes: Outcomes;
  #mode: 'idle' | 'writing' | 'stuck' = 'idle';
  readonly #waiting: WaitingWrite[] = [];
  #waitingBytes = 0;
  #allWritten: Promise<void> = Promise.resolve();
  /** Chunks are encoded into it; reused, as there is one transaction at a time. */
  #space = Buffer.alloc(0);

  constructor(store: LogStore, recent: RecentChunks, clock: Clock, limits: LogLimits, outcomes: Outcomes) {
    this.#store = store;
    this.#recent = recent;
    this.#clock = clock;
    this.#limits = limits;
    this.#outcomes = outcomes;
  }

  /** Bytes of records that are not durable yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Resolves with the positions of the records once all of the write is durable. */
  async submit(write: Write): Promise<readonly Position[]> {
    if (this.#mode === 'stuck') throw new LogUnavailableError('The disk does not answer.');
    let bytes = 0;
    for (const { record } of write.records) bytes += recordBytes(record);
    bytes += write.putBytes ?? 0;
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > this.#limits.appendWaitingBytesMax) {
      throw new LogFullError('Too many bytes are waiting to be written.');
    }
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...write, bytes, resolve, reject });
      if (this.#mode === 'idle') this.#allWritten = this.#writeAll();
    });
  }

  /** Resolves when nothing is waiting any more. */
  drain(): Promise<void> {
    return this.#allWritten;
  }

  async #writeAll(): Promise<void> {
    this.#mode = 'writing';
    // A turn of the event loop later, so that appends of the same moment share the transaction.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    while (this.#waiting.length > 0) await this.#write(this.#take());
    this.#mode = 'idle';
  }

  /** The oldest write, and those behind it that fit the same transaction. */
  #take(): readonly WaitingWrite[] {
    let records = 0;
    let bytes = 0;
    let count = 0;
    for (const write of this.#waiting) {
      records += write.records.length;
      bytes += write.bytes;
      const fits = records <= this.#limits.appendRecordsMax && bytes <= this.#limits.appendBytesMax;
      if (!fits && count > 0) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #write(writes: readonly WaitingWrite[]): Promise<void> {
    const bytes = writes.reduce((sum, write) => sum + write.bytes, 0);
    try {
      this.assertDiskSpace(bytes, this.#limits.diskFreeBytesMin);
      const { positions, puts, bounds } = this.#prepare(writes);
      await this.#commit(writes, () => {
        for (const { key, value } of puts) void this.#store.chunks.put(key, value);
        for (const write of writes) write.put?.();
      });
      for (const { partition, firstOffset, value } of puts) this.#recent.add(partition, firstOffset, value);
      for (const [partition, { end, bytesAfter }] of bounds) partition.grew(end, bytesAfter);
      for (const write of writes) write.onDurable?.();
      for (const [index, write] of writes.entries()) write.resolve(positions[index] ?? []);
      this.#outcomes.onDurable();
    } catch (error) {
      this.#outcomes.onFailure(error instanceof Error ? error : new Error(String(error)), bytes);
      for (const write of writes) write.reject(error);
    } finally {
      for (const write of writes) this.#waitingBytes -= write.bytes;
    }
  }

  /**
   * Rejects before lmdb meets a full disk: a transaction that fails while it spills pages leaves its memory damaged,
   * and the process hangs or aborts. Pages are written anew for every change, so a write may take twice its bytes.
   */
  assertDiskSpace(bytes: number, freeBytesMin: number): void {
    const freeBytes = this.#store.freeBytes();
    if (freeBytes >= freeBytesMin + 2 * bytes) return;
    throw new LogFullError(
      `No space left for the log: ${freeBytes} bytes are free on its disk, and it leaves ${freeBytesMin}.`,
    );
  }

  async #commit(writes: readonly WaitingWrite[], put: () => void): Promise<void> {
    const cancelTimeout = this.#clock.after(this.#limits.commitTimeoutMs, () => {
      this.#mode = 'stuck';
      const error = new LogUnavailableError(`The disk took more than ${this.#limits.commitTimeoutMs} ms.`);
      this.#outcomes.onFailure(error, 0);
      for (const write of writes) write.reject(error);
      for (const write of this.#waiting.splice(0)) {
        this.#waitingBytes -= write.bytes;
        write.reject(error);
      }
    });
    try {
      await this.#store.transaction(put);
    } finally {
      cancelTimeout();
      this.#mode = 'writing';
    }
  }

  /** Gives every record its offset, and encodes. */
  #prepare(writes: readonly WaitingWrite[]): Transaction {
    const byPartition = new Map<Partition, AppendRecord[]>();
    const positions = writes.map((write) =>
      write.records.map(({ record, partition }) => {
        const records = byPartition.get(partition) ?? [];
        byPartition.set(partition, records);
        return { partition: partition.partition, offset: partition.end + records.push(record) - 1 };
      }),
    );
    const chunks = [...byPartition].flatMap(([partition, records]) => this.#split(partition, records));
    let space = this.#reserve(chunks.reduce((bytes, chunk) => bytes + encodedBytesMax(chunk.records), 0));
    const puts: Put[] = [];
    const bounds = new Map<Partition, { end: number; bytesAfter: number }>();
    const appendedAt = this.#clock.now();
    for (const { partition, records } of chunks) {
      const { end: firstOffset, bytesAfter: bytesBefore } = bounds.get(partition) ?? partition;
      const value = encodeChunk(space, { firstOffset, appendedAt, bytesBefore }, records);
      space = space.subarray(value.length);
      const end = firstOffset + records.length;
      bounds.set(partition, { end, bytesAfter: bytesBefore + footprint(value.length) });
      puts.push({ partition, firstOffset, key: [partition.topic, partition.partition, end - 1], value });
    }
    return { positions, puts, bounds };
  }

  #split(partition: Partition, records: readonly AppendRecord[]): Chunk[] {
    let chunk: Chunk = { partition, records: [], bytes: 0 };
    const chunks = [chunk];
    for (const record of records) {
      const bytes = recordBytes(record);
      if (chunk.bytes > 0 && chunk.bytes + bytes > this.#limits.chunkBytesMax) {
        chunk = { partition, records: [], bytes: 0 };
        chunks.push(chunk);
      }
      chunk.records.push(record);
      chunk.bytes += bytes;
    }
    return chunks;
  }

  #reserve(bytes: number): Buffer {
    if (bytes > this.#limits.appendBytesMax) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > this.#space.length) {
      this.#space = Buffer.allocUnsafeSlow(Math.min(2 * bytes, this.#limits.appendBytesMax));
    }
    return this.#space;
  }
}
