/**
 * Texts by keys, as many as fit, outside of V8's heap: V8 would mark every one of them each time that it collects the
 * heap, and stop the event loop meanwhile. The one that was not used for the longest goes first.
 *
 * An entry is known by its first block: key and text in UTF-8 stand in its blocks, and the rest in arrays of numbers. It is
 * in two lists: by age, and of those with like hashes.
 */
import { at, Blocks, withPlace } from './blocks.ts';

/** What an entry takes beside its bytes, for each block: numbers in the arrays, and one in the lists by hash. */
const NUMBERS_BYTES = 9 * 4;
const BUCKETS_MIN = 1_024;
/** In one list by hash; past it the one in it that came first goes, so that chosen keys make nobody slow. */
const ALIKE_MAX = 16;
const BYTES_PER_CHAR_MAX = 3;
const SPACE_BYTES_MIN = 4_096;

export interface TextCacheOptions {
  readonly bytesMax: number;
  /** Small texts take less in small blocks, and large ones are faster in large ones. */
  readonly blockBytes: number;
}

export class TextCache {
  readonly #blocks: Blocks;
  readonly #blocksMax: number;
  /** By first block. */
  #hashes = new Uint32Array(0);
  #keyBytes = new Uint32Array(0);
  #bytes = new Uint32Array(0);
  #older = new Uint32Array(0);
  #newer = new Uint32Array(0);
  #alike = new Uint32Array(0);
  /** First entry of each list by hash; a power of two of them. */
  #buckets = new Uint32Array(BUCKETS_MIN);
  #oldest = 0;
  #newest = 0;
  #size = 0;
  /** What goes in and comes out. */
  #space = Buffer.allocUnsafeSlow(SPACE_BYTES_MIN);

  constructor({ bytesMax, blockBytes }: TextCacheOptions) {
    this.#blocksMax = Math.floor(bytesMax / (blockBytes + NUMBERS_BYTES));
    this.#blocks = new Blocks(blockBytes, this.#blocksMax);
  }

  get size(): number {
    return this.#size;
  }

  has(key: string): boolean {
    return this.#find(key) !== 0;
  }

  /** Without making it newer. */
  peek(key: string): string | undefined {
    const entry = this.#find(key);
    return entry === 0 ? undefined : this.#text(entry);
  }

  get(key: string): string | undefined {
    const entry = this.#find(key);
    if (entry === 0) return undefined;
    this.#leaveAges(entry);
    this.#becomeNewest(entry);
    return this.#text(entry);
  }

  /** Gives what was there, which is there no longer. */
  take(key: string): string | undefined {
    const entry = this.#find(key);
    if (entry === 0) return undefined;
    const text = this.#text(entry);
    this.#remove(entry);
    return text;
  }

  /** Nothing is kept of what does not fit, and of halves of characters, which have no UTF-8. */
  set(key: string, text: string): void {
    const before = this.#find(key);
    if (before !== 0) this.#remove(before);
    if (HALF_CHARACTER.test(key) || HALF_CHARACTER.test(text)) return;
    const keyBytes = this.#write(key, 0);
    const bytes = keyBytes + this.#write(text, keyBytes);
    const needed = this.#blocks.needed(bytes);
    if (needed > this.#blocksMax || bytes === 0) return;
    while (this.#blocks.room < needed) this.#remove(this.#oldest);
    const entry = this.#blocks.keep(this.#space, bytes);
    this.#makePlace(this.#blocks.made);
    this.#hashes[entry] = hashOf(this.#space, keyBytes);
    this.#keyBytes[entry] = keyBytes;
    this.#bytes[entry] = bytes;
    this.#becomeNewest(entry);
    this.#size += 1;
    if (this.#size > this.#buckets.length) this.#spread();
    this.#joinAlike(entry);
  }

  delete(key: string): void {
    const entry = this.#find(key);
    if (entry !== 0) this.#remove(entry);
  }

  /** 0 if there is none. */
  #find(key: string): number {
    if (this.#size === 0 || HALF_CHARACTER.test(key)) return 0;
    const keyBytes = this.#write(key, 0);
    const hash = hashOf(this.#space, keyBytes);
    for (let entry = at(this.#buckets, this.#bucketOf(hash)); entry !== 0; entry = at(this.#alike, entry)) {
      if (this.#hashes[entry] !== hash || this.#keyBytes[entry] !== keyBytes) continue;
      if (this.#blocks.beginsWith(entry, this.#space, keyBytes)) return entry;
    }
    return 0;
  }

  #text(entry: number): string {
    const length = this.#blocks.read(entry, at(this.#keyBytes, entry), at(this.#bytes, entry), this.#space);
    return this.#space.toString('utf8', 0, length);
  }

  /** Into the space, which grows for it; gives how many bytes it took. */
  #write(text: string, start: number): number {
    const bytesMax = start + text.length * BYTES_PER_CHAR_MAX;
    if (bytesMax > this.#space.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(bytesMax, this.#space.length * 2));
      this.#space.copy(larger, 0, 0, start);
      this.#space = larger;
    }
    return this.#space.write(text, start);
  }

  #remove(entry: number): void {
    this.#leaveAges(entry);
    this.#leaveAlike(entry);
    this.#blocks.free(entry);
    this.#size -= 1;
  }

  #becomeNewest(entry: number): void {
    this.#older[entry] = this.#newest;
    this.#newer[entry] = 0;
    if (this.#newest === 0) this.#oldest = entry;
    else this.#newer[this.#newest] = entry;
    this.#newest = entry;
  }

  #leaveAges(entry: number): void {
    const older = at(this.#older, entry);
    const newer = at(this.#newer, entry);
    if (older === 0) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === 0) this.#newest = older;
    else this.#older[newer] = older;
  }

  #bucketOf(hash: number): number {
    return hash & (this.#buckets.length - 1);
  }

  #joinAlike(entry: number): void {
    const bucket = this.#bucketOf(at(this.#hashes, entry));
    this.#alike[entry] = at(this.#buckets, bucket);
    this.#buckets[bucket] = entry;
    let last = entry;
    let count = 1;
    for (; at(this.#alike, last) !== 0; count++) last = at(this.#alike, last);
    if (count > ALIKE_MAX) this.#remove(last);
  }

  #leaveAlike(entry: number): void {
    const bucket = this.#bucketOf(at(this.#hashes, entry));
    const next = at(this.#alike, entry);
    let before = at(this.#buckets, bucket);
    if (before === entry) {
      this.#buckets[bucket] = next;
      return;
    }
    while (at(this.#alike, before) !== entry) before = at(this.#alike, before);
    this.#alike[before] = next;
  }

  /** Twice as many lists by hash. */
  #spread(): void {
    this.#buckets = new Uint32Array(this.#buckets.length * 2);
    // The newest one is not in a list yet.
    for (let entry = this.#oldest; entry !== this.#newest; entry = at(this.#newer, entry))
      this.#joinAlike(entry);
  }

  #makePlace(block: number): void {
    this.#hashes = withPlace(this.#hashes, block);
    this.#keyBytes = withPlace(this.#keyBytes, block);
    this.#bytes = withPlace(this.#bytes, block);
    this.#older = withPlace(this.#older, block);
    this.#newer = withPlace(this.#newer, block);
    this.#alike = withPlace(this.#alike, block);
  }
}

const HALF_CHARACTER = /\p{Surrogate}/u;

/** FNV-1a, and then mixed, as its lower bits decide on the list. */
export function hashOf(bytes: Buffer, length: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < length; index++) hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
