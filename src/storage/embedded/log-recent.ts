/**
 * The newest chunks, kept in memory: nearly every record is read a moment after it was written, and reading it from
 * disk would decompress it, and keep its pages of the file resident.
 */
import type { Partition } from './log-partition.ts';

interface RecentChunk {
  readonly partition: Partition;
  readonly firstOffset: number;
  readonly value: Buffer;
}

export class RecentChunks {
  readonly #bytesMax: number;
  /** Oldest first, over all partitions: so those of one partition have no gap, and reach up to its end. */
  readonly #all: RecentChunk[] = [];
  readonly #byPartition = new Map<Partition, RecentChunk[]>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** A chunk that has just become durable, the next one of its partition. Takes a copy of `value`. */
  add(partition: Partition, firstOffset: number, value: Buffer): void {
    const chunk = { partition, firstOffset, value: Buffer.from(value) };
    this.#all.push(chunk);
    const own = this.#byPartition.get(partition);
    if (own) own.push(chunk);
    else this.#byPartition.set(partition, [chunk]);
    this.#bytes += value.length;
    while (this.#bytes > this.#bytesMax) this.#forgetOldest();
  }

  /** The chunks from the one that holds `offset` on; `undefined` where that one is not here any more. */
  from(partition: Partition, offset: number): readonly Buffer[] | undefined {
    const own = this.#byPartition.get(partition);
    const [oldest] = own ?? [];
    if (own === undefined || oldest === undefined || offset < oldest.firstOffset) return undefined;
    const index = own.findLastIndex(({ firstOffset }) => firstOffset <= offset);
    return own.slice(index).map(({ value }) => value);
  }

  #forgetOldest(): void {
    const oldest = this.#all.shift();
    if (oldest === undefined) return;
    this.#bytes -= oldest.value.length;
    this.#byPartition.get(oldest.partition)?.shift();
  }
}
