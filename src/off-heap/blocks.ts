/**
 * Space outside of V8's heap, in blocks of one size: what is longer than one takes several, each of which knows the
 * next. Blocks are numbered from 1; 0 is none. Each has room for some numbers beside its bytes.
 */

/** How many are made at once. */
const SLAB_BLOCKS = 256;
/** Of a block's numbers: the block that goes on with it, or with the list of the free ones. */
const NEXT = 0;
/** The others are the user's: 1 to 6. */
const NUMBERS = 7;
export const NUMBERS_BYTES = NUMBERS * 4;

interface Slab {
  readonly bytes: Buffer;
  readonly numbers: Uint32Array;
}

export class Blocks {
  readonly #blockBytes: number;
  readonly #max: number;
  readonly #slabs: Slab[] = [];
  #firstFree = 0;
  #made = 0;
  #taken = 0;

  /** `max`: how many there may be. They are made as they are needed. */
  constructor(blockBytes: number, max: number) {
    this.#blockBytes = blockBytes;
    this.#max = max;
  }

  /** How many `length` bytes take: one at least. */
  needed(length: number): number {
    return Math.max(1, Math.ceil(length / this.#blockBytes));
  }

  /** How many can still be taken. */
  get room(): number {
    return this.#max - this.#taken;
  }

  /** One of a block's numbers. */
  get(block: number, number: number): number {
    return this.#slab(block).numbers[place(block) * NUMBERS + number] ?? 0;
  }

  set(block: number, number: number, value: number): void {
    this.#slab(block).numbers[place(block) * NUMBERS + number] = value;
  }

  /** Keeps the first `length` bytes, for which there has to be room. Gives the first block. */
  keep(from: Buffer, length: number): number {
    let rest = 0;
    for (let index = this.needed(length) - 1; index >= 0; index--) {
      const block = this.#take();
      const start = index * this.#blockBytes;
      const end = Math.min(start + this.#blockBytes, length);
      from.copy(this.#slab(block).bytes, this.#start(block), start, end);
      this.set(block, NEXT, rest);
      rest = block;
    }
    return rest;
  }

  /** Copies what is kept there from the byte `start` to the byte `end`; gives how many bytes these are. */
  read(first: number, start: number, end: number, to: Buffer): number {
    let block = first;
    let done = 0;
    for (let from = 0; from < end; from += this.#blockBytes) {
      const begin = Math.max(start - from, 0);
      const stop = Math.min(end - from, this.#blockBytes);
      if (begin < stop) {
        this.#slab(block).bytes.copy(to, done, this.#start(block) + begin, this.#start(block) + stop);
        done += stop - begin;
      }
      block = this.get(block, NEXT);
    }
    return done;
  }

  /** Whether what is kept there begins with the first `length` bytes. */
  beginsWith(first: number, bytes: Buffer, length: number): boolean {
    let block = first;
    for (let from = 0; from < length; from += this.#blockBytes) {
      const end = Math.min(from + this.#blockBytes, length);
      const start = this.#start(block);
      if (bytes.compare(this.#slab(block).bytes, start, start + end - from, from, end) !== 0) return false;
      block = this.get(block, NEXT);
    }
    return true;
  }

  /** The block, and those that go on with it, are free again. */
  free(first: number): void {
    for (let block = first; block !== 0; ) {
      const next = this.get(block, NEXT);
      this.set(block, NEXT, this.#firstFree);
      this.#firstFree = block;
      this.#taken -= 1;
      block = next;
    }
  }

  #take(): number {
    this.#taken += 1;
    const free = this.#firstFree;
    if (free !== 0) {
      this.#firstFree = this.get(free, NEXT);
      return free;
    }
    const block = ++this.#made;
    if (block > this.#slabs.length * SLAB_BLOCKS) {
      this.#slabs.push({
        bytes: Buffer.allocUnsafeSlow(SLAB_BLOCKS * this.#blockBytes),
        numbers: new Uint32Array(SLAB_BLOCKS * NUMBERS),
      });
    }
    return block;
  }

  #slab(block: number): Slab {
    return this.#slabs[Math.floor((block - 1) / SLAB_BLOCKS)] ?? NO_SLAB;
  }

  #start(block: number): number {
    return place(block) * this.#blockBytes;
  }
}

const NO_SLAB: Slab = { bytes: Buffer.alloc(0), numbers: new Uint32Array(0) };

/** In its slab. */
const place = (block: number): number => (block - 1) % SLAB_BLOCKS;
