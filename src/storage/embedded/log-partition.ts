/** One partition of one topic: its bounds, in memory, and its records, in chunks on disk. */
import type { LogRecord } from '../event-log.ts';
import type { Topic } from '../topics.ts';
import { decodeHeader, decodeRecords, footprint } from './log-codec.ts';
import type { RecentChunks } from './log-recent.ts';
import type { ChunkKey, LogStore } from './log-store.ts';

const OFFSET_MAX = Number.MAX_SAFE_INTEGER;

export interface StoredChunk {
  readonly key: ChunkKey;
  readonly lastOffset: number;
  readonly appendedAt: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** Only durable records show here. The newest chunk is never deleted, so that the bounds can be read from disk. */
export class Partition {
  readonly topic: Topic;
  readonly partition: number;
  readonly #store: LogStore;
  readonly #recent: RecentChunks;
  #first = 0;
  #end = 0;
  /** Running totals of `footprint`, before the first and after the last chunk. */
  #bytesBefore = 0;
  #bytesAfter = 0;

  constructor(store: LogStore, recent: RecentChunks, topic: Topic, partition: number) {
    this.#store = store;
    this.#recent = recent;
    this.topic = topic;
    this.partition = partition;
    this.reload();
  }

  /** Offset of the oldest record. */
  get first(): number {
    return this.#first;
  }

  /** Offset that the next record will get. */
  get end(): number {
    return this.#end;
  }

  get usedBytes(): number {
    return this.#bytesAfter - this.#bytesBefore;
  }

  get bytesBefore(): number {
    return this.#bytesBefore;
  }

  get bytesAfter(): number {
    return this.#bytesAfter;
  }

  /** Takes the bounds from disk. */
  reload(): void {
    const [oldest] = this.#entries(0, OFFSET_MAX, 1);
    const [newest] = this.#store.chunks.getRange({
      start: [this.topic, this.partition, OFFSET_MAX],
      end: [this.topic, this.partition, -1],
      reverse: true,
      limit: 1,
    });
    if (!oldest || !newest) return;
    const oldestHeader = decodeHeader(oldest.value);
    this.#first = oldestHeader.firstOffset;
    this.#bytesBefore = oldestHeader.bytesBefore;
    this.#end = newest.key[2] + 1;
    this.#bytesAfter = decodeHeader(newest.value).bytesBefore + footprint(newest.value.length);
  }

  /** Records became durable at the end. */
  grew(end: number, bytesAfter: number): void {
    this.#end = end;
    this.#bytesAfter = bytesAfter;
  }

  /** The chunks up to `last` were deleted. */
  shrank(last: StoredChunk): void {
    this.#first = last.lastOffset + 1;
    this.#bytesBefore = last.bytesAfter;
  }

  /** Records from `from` on, or from the first one after it: at most `recordsMax`, and about `bytesMax`. */
  read(from: number, recordsMax: number, bytesMax: number): LogRecord[] {
    // What was deleted may still be in memory.
    const offset = Math.max(from, this.#first);
    const records: LogRecord[] = [];
    let bytes = 0;
    for (const value of this.#recent.from(this, offset) ?? this.#values(offset, recordsMax)) {
      decodeRecords(value, this, offset, recordsMax, records);
      bytes += value.length;
      if (records.length >= recordsMax || bytes >= bytesMax) break;
    }
    return records;
  }

  /** The chunk that holds `offset`, or the first one after it, and those that follow. */
  *chunks(offset: number, chunksMax: number): Generator<StoredChunk> {
    for (const { key, value } of this.#entries(offset, this.#end, chunksMax)) {
      const { appendedAt, bytesBefore } = decodeHeader(value);
      const bytesAfter = bytesBefore + footprint(value.length);
      yield { key, lastOffset: key[2], appendedAt, bytesBefore, bytesAfter };
    }
  }

  *#values(offset: number, chunksMax: number): Generator<Buffer> {
    for (const { value } of this.#entries(offset, this.#end, chunksMax)) yield value;
  }

  #entries(offset: number, end: number, limit: number): Iterable<{ key: ChunkKey; value: Buffer }> {
    return this.#store.chunks.getRange({
      start: [this.topic, this.partition, offset],
      end: [this.topic, this.partition, end],
      limit,
    });
  }
}
