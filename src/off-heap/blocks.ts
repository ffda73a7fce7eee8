/**
 * Space outside of V8's heap, in blocks of one size: what is longer than one takes several, each of which knows the
 * next. Blocks are numbered from 1; 0 is none.
 */

const SLAB_BYTES = 1024 * 1024;
/** Blocks that there is a place for at first. */
const BLOCKS_MIN = 1_024;

export class Blocks {
  readonly #bytes: number;
  readonly #perSlab: number;
  readonly #max: number;
  readonly #slabs: Buffer[] = [];
  /** Of each block, the one that goes on with it, or with the list of the free ones. */
  #next = new Uint32Array(BLOCKS_MIN);
  #firstFree = 0;
  #made = 0;
  #taken = 0;

  /** `max`: how many there may be. They are made as they are needed. */
  constructor(blockBytes: number, max: number) {
    this.#bytes = blockBytes;
    this.#perSlab = Math.floor(SLAB_BYTES / blockBytes);
    this.#max = max;
  }

  /** How many `length` bytes take. */
  needed(length: number): number {
    return Math.ceil(length / this.#bytes);
  }

  /** How many can still be taken. */
  get room(): number {
    return this.#max - this.#taken;
  }

  /** Blocks have numbers up to this one. */
  get made(): number {
    return this.#made;
  }

  /** Keeps the first `length` bytes, one at least, for which there has to be room. Gives the first block. */
  keep(from: Buffer, length: number): number {
    let rest = 0;
    for (let index = this.needed(length) - 1; index >= 0; index--) {
      const block = this.#take();
      const at = index * this.#bytes;
      from.copy(this.#slab(block), this.#start(block), at, Math.min(at + this.#bytes, length));
      this.#next[block] = rest;
      rest = block;
    }
    return rest;
  }

  /** Copies what is kept there from the byte `start` to the byte `end`; gives how many bytes these are. */
  read(first: number, start: number, end: number, to: Buffer): number {
    let from = 0;
    let done = 0;
    for (let block = first; done < end - start; block = at(this.#next, block), from += this.#bytes) {
      const begin = Math.max(start - from, 0);
      const stop = Math.min(end - from, this.#bytes);
      if (begin >= stop) continue;
      const place = this.#start(block);
      this.#slab(block).copy(to, done, place + begin, place + stop);
      done += stop - begin;
    }
    return done;
  }

  /** Whether what is kept there begins with the first `length` bytes. */
  beginsWith(first: number, bytes: Buffer, length: number): boolean {
    let block = first;
    for (let from = 0; from < length; from += this.#bytes) {
      const end = Math.min(from + this.#bytes, length);
      const place = this.#start(block);
      if (bytes.compare(this.#slab(block), place, place + end - from, from, end) !== 0) return false;
      block = at(this.#next, block);
    }
    return true;
  }

  /** The block, and those that go on with it, are free again. */
  free(first: number): void {
    for (let block = first; block !== 0; ) {
      const next = at(this.#next, block);
      this.#next[block] = this.#firstFree;
      this.#firstFree = block;
      this.#taken -= 1;
      block = next;
    }
  }

  #take(): number {
    this.#taken += 1;
    const free = this.#firstFree;
    if (free !== 0) {
      this.#firstFree = at(this.#next, free);
      return free;
    }
    const block = ++this.#made;
    if ((block - 1) % this.#perSlab === 0) this.#slabs.push(Buffer.allocUnsafeSlow(SLAB_BYTES));
    this.#next = withPlace(this.#next, block);
    return block;
  }

  #slab(block: number): Buffer {
    return this.#slabs[Math.floor((block - 1) / this.#perSlab)] ?? NOWHERE;
  }

  #start(block: number): number {
    return ((block - 1) % this.#perSlab) * this.#bytes;
  }
}

const NOWHERE = Buffer.alloc(0);

export type Numbers = Uint32Array<ArrayBuffer>;

/** 0 beyond the end. */
export const at = (numbers: Numbers, index: number): number => numbers[index] ?? 0;

/** The same numbers, with zeros behind them if `index` would be beyond their end. */
export function withPlace(numbers: Numbers, index: number): Numbers {
  if (index < numbers.length) return numbers;
  const longer = new Uint32Array(Math.max(numbers.length * 2, index + 1));
  longer.set(numbers);
  return longer;
}
