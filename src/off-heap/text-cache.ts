/**
 * Texts by keys, as many as fit, outside of V8's heap: V8 would mark every one of them each time that it collects the
 * heap, and stop the event loop meanwhile. The one that was not used for the longest goes first.
 *
 * An entry is known by its first block: key and text stand in its blocks in UTF-8, and the rest in the numbers of the first
 * one. It is in two lists: by age, and of those with like hashes.
 */
import { Blocks, NUMBERS_BYTES } from './blocks.ts';

/** Numbers of an entry's first block. */
const HASH = 1;
const KEY_BYTES = 2;
/** Of key and text. */
const BYTES = 3;
const OLDER = 4;
const NEWER = 5;
/** The next one in the list by hash. */
const ALIKE = 6;

/** In one list by hash; past it the one that came first goes, so that chosen keys make nothing slow. */
const ALIKE_MAX = 16;
const BYTES_PER_CHAR_MAX = 3;
const SPACE_BYTES_MIN = 4_096;

/** What a block takes: its bytes, its numbers, and its part of the lists by hash. */
export const blockCostBytes = (blockBytes: number): number => blockBytes + NUMBERS_BYTES + 4;

export interface TextCacheOptions {
  readonly bytesMax: number;
  /** An entry takes one at least: small texts take less in small ones, and large texts are faster in large ones. */
  readonly blockBytes: number;
  /** As many as the bytes allow, unless it says otherwise. */
  readonly entriesMax?: number;
}

export class TextCache {
  readonly #blocks: Blocks;
  readonly #blocksMax: number;
  readonly #entriesMax: number;
  /** First entry of each list by hash; a power of two of them. */
  readonly #lists: Uint32Array;
  #oldest = 0;
  #newest = 0;
  #size = 0;
  /** What goes in and comes out. */
  #space = Buffer.allocUnsafeSlow(SPACE_BYTES_MIN);
  /** Of the key that was looked for. */
  #keyBytes = 0;
  #hash = 0;

  constructor({ bytesMax, blockBytes, entriesMax = Number.POSITIVE_INFINITY }: TextCacheOptions) {
    this.#blocksMax = Math.floor(bytesMax / blockCostBytes(blockBytes));
    this.#blocks = new Blocks(blockBytes, this.#blocksMax);
    // An entry takes a block at least.
    this.#entriesMax = Math.min(entriesMax, this.#blocksMax);
    // At least half as many as entries: the system gives memory only for what is used.
    this.#lists = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(this.#entriesMax, 2) / 2)));
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
    if (!key.isWellFormed() || !text.isWellFormed()) return;
    const hash = this.#hash;
    const keyBytes = this.#keyBytes;
    const bytes = keyBytes + this.#write(text, keyBytes);
    const needed = this.#blocks.needed(bytes);
    if (needed > this.#blocksMax || this.#entriesMax < 1) return;
    while (this.#blocks.room < needed || this.#size >= this.#entriesMax) this.#remove(this.#oldest);
    const entry = this.#blocks.keep(this.#space, bytes);
    this.#blocks.set(entry, HASH, hash);
    this.#blocks.set(entry, KEY_BYTES, keyBytes);
    this.#blocks.set(entry, BYTES, bytes);
    this.#size += 1;
    this.#becomeNewest(entry);
    this.#joinAlike(entry);
  }

  delete(key: string): void {
    const entry = this.#find(key);
    if (entry !== 0) this.#remove(entry);
  }

  /** 0 if there is none. Leaves the key at the beginning of the space. */
  #find(key: string): number {
    if (!key.isWellFormed()) return 0;
    const keyBytes = this.#write(key, 0);
    const hash = hashOf(this.#space, keyBytes);
    this.#keyBytes = keyBytes;
    this.#hash = hash;
    for (let entry = this.#firstOf(hash); entry !== 0; entry = this.#blocks.get(entry, ALIKE)) {
      if (this.#blocks.get(entry, HASH) !== hash || this.#blocks.get(entry, KEY_BYTES) !== keyBytes) continue;
      if (this.#blocks.beginsWith(entry, this.#space, keyBytes)) return entry;
    }
    return 0;
  }

  #text(entry: number): string {
    const start = this.#blocks.get(entry, KEY_BYTES);
    const length = this.#blocks.read(entry, start, this.#blocks.get(entry, BYTES), this.#space);
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
    this.#blocks.set(entry, OLDER, this.#newest);
    this.#blocks.set(entry, NEWER, 0);
    if (this.#newest === 0) this.#oldest = entry;
    else this.#blocks.set(this.#newest, NEWER, entry);
    this.#newest = entry;
  }

  #leaveAges(entry: number): void {
    const older = this.#blocks.get(entry, OLDER);
    const newer = this.#blocks.get(entry, NEWER);
    if (older === 0) this.#oldest = newer;
    else this.#blocks.set(older, NEWER, newer);
    if (newer === 0) this.#newest = older;
    else this.#blocks.set(newer, OLDER, older);
  }

  #listOf(hash: number): number {
    return hash & (this.#lists.length - 1);
  }

  #firstOf(hash: number): number {
    return this.#lists[this.#listOf(hash)] ?? 0;
  }

  #joinAlike(entry: number): void {
    const hash = this.#blocks.get(entry, HASH);
    const first = this.#firstOf(hash);
    this.#blocks.set(entry, ALIKE, first);
    this.#lists[this.#listOf(hash)] = entry;
    let count = 1;
    for (let other = first; other !== 0; other = this.#blocks.get(other, ALIKE)) {
      count += 1;
      if (count > ALIKE_MAX) {
        this.#remove(other);
        return;
      }
    }
  }

  #leaveAlike(entry: number): void {
    const hash = this.#blocks.get(entry, HASH);
    const next = this.#blocks.get(entry, ALIKE);
    let before = this.#firstOf(hash);
    if (before === entry) {
      this.#lists[this.#listOf(hash)] = next;
      return;
    }
    while (this.#blocks.get(before, ALIKE) !== entry) before = this.#blocks.get(before, ALIKE);
    this.#blocks.set(before, ALIKE, next);
  }
}

/** FNV-1a, and then mixed, as its lower bits decide on the list. */
export function hashOf(bytes: Buffer, length: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < length; index++) hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
