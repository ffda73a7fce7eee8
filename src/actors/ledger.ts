/**
 * The books of one partition: which records were taken, which have no fate yet, and how often each fate was met.
 * An offset: unread → in flight → finished, or in flight → held → in flight → finished. What a former owner finished is
 * not taken again.
 */
import type { Fate } from '../event/outcome.ts';
import { toRanges } from '../storage/offset-ranges.ts';
import type { Landmark, Progress } from '../storage/person-store.ts';
import { invariant } from './lifecycle.ts';

const LOST: Fate = { kind: 'dead_letter', reason: 'lost_by_retention' };

export class Ledger {
  readonly #firstOffset: number;
  #readPosition: number;
  /** Bytes of each record that has no fate yet, by offset, in rising order. */
  readonly #unfinished = new Map<number, number>();
  /** Bytes of each record that is held: it is not in flight. */
  readonly #held = new Map<number, number>();
  readonly #fates = new Map<string, number>();
  #bytes = 0;
  #taken = 0;
  #lost = 0;
  #expected = Number.POSITIVE_INFINITY;
  #changed = false;
  /** The last record that was read. */
  #landmark: Landmark | undefined;

  constructor(
    progress: Pick<Progress, 'firstOffset' | 'readPosition' | 'unfinished' | 'fates' | 'landmark'>,
  ) {
    this.#firstOffset = progress.firstOffset;
    this.#landmark = progress.landmark;
    this.#readPosition = progress.readPosition;
    for (const { from, to } of progress.unfinished) {
      for (let offset = from; offset <= to; offset++) this.#unfinished.set(offset, 0);
    }
    for (const [fate, count] of Object.entries(progress.fates)) this.#fates.set(fate, count);
  }

  /** Records in flight that were taken here; what a former owner left is not among them until it is read again. */
  get taken(): number {
    return this.#taken;
  }

  /** Offset of the next record to read. */
  get readPosition(): number {
    return this.#readPosition;
  }

  get held(): number {
    return this.#held.size;
  }

  /** Records that were read and have no fate yet, here or by a former owner, without those that are held. */
  get inFlight(): number {
    return this.#unfinished.size - this.#held.size;
  }

  /** Records that left the log before they were read. */
  get lost(): number {
    return this.#lost;
  }

  /** Records that have their fate, by this owner or a former one. */
  get finished(): number {
    return this.#readPosition - this.#firstOffset - this.#unfinished.size;
  }

  /** Time of the last record that was read, milliseconds since the epoch. */
  get recordedAtMs(): number | undefined {
    return this.#landmark?.recordedAtMs;
  }

  /** Bytes of the records in flight that were taken here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether anything happened since the last `snapshot`. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Everything below it is finished: what may be committed. */
  get lowEnd(): number {
    for (const offset of this.#unfinished.keys()) return offset;
    return this.#readPosition;
  }

  /** The record stands for the log that was read, until a later one does. */
  pass(landmark: Landmark): void {
    if (this.#landmark === undefined || landmark.offset > this.#landmark.offset) this.#landmark = landmark;
  }

  /** The next record to come is the one at `offset`. */
  expect(offset: number): void {
    this.#expected = offset;
  }

  /** Records in order. False: finished already, by this owner or a former one. */
  take(offset: number, bytes: number): boolean {
    if (offset > this.#expected) this.#skip(this.#expected, offset);
    this.#expected = offset + 1;
    if (offset >= this.#readPosition) this.#readPosition = offset + 1;
    else if (!this.#unfinished.has(offset)) return false;
    this.#unfinished.set(offset, bytes);
    this.#bytes += bytes;
    this.#taken += 1;
    this.#changed = true;
    return true;
  }

  /** The record waits for somebody to say who it is about. */
  hold(offset: number): void {
    const bytes = this.#unfinished.get(offset);
    invariant(bytes !== undefined && !this.#held.has(offset), `offset ${offset} cannot be held`);
    this.#held.set(offset, bytes);
    this.#bytes -= bytes;
    this.#taken -= 1;
    this.#changed = true;
  }

  /** It goes on. */
  release(offset: number): void {
    const bytes = this.#held.get(offset);
    invariant(bytes !== undefined, `offset ${offset} is not held`);
    this.#held.delete(offset);
    this.#bytes += bytes;
    this.#taken += 1;
    this.#changed = true;
  }

  finish(offset: number, fate: Fate): void {
    const bytes = this.#unfinished.get(offset);
    invariant(bytes !== undefined && !this.#held.has(offset), `offset ${offset} has its fate already`);
    this.#unfinished.delete(offset);
    this.#bytes -= bytes;
    this.#taken -= 1;
    this.#count(fate);
  }

  /** The log went on at `to` instead of `from`: what lies between has left it. */
  #skip(from: number, to: number): void {
    let lost = Math.max(0, to - Math.max(from, this.#readPosition));
    for (const offset of [...this.#unfinished.keys()]) {
      if (offset < from || offset >= to) continue;
      this.#unfinished.delete(offset);
      lost += 1;
    }
    this.#readPosition = Math.max(this.#readPosition, to);
    for (let count = 0; count < lost; count++) this.#count(LOST);
    this.#lost += lost;
  }

  /** Records below `first` are no longer in the log: they never come. Gives how many of them had no fate. */
  lose(first: number): number {
    let lost = 0;
    for (const offset of this.#unfinished.keys()) {
      if (offset >= first) break;
      this.#unfinished.delete(offset);
      lost += 1;
    }
    lost += Math.max(0, first - this.#readPosition);
    this.#readPosition = Math.max(first, this.#readPosition);
    for (let count = 0; count < lost; count++) this.#count(LOST);
    return lost;
  }

  #count(fate: Fate): void {
    const key = fateKey(fate);
    this.#fates.set(key, (this.#fates.get(key) ?? 0) + 1);
    this.#changed = true;
  }

  /** The last `snapshot` was not saved. */
  unsaved(): void {
    this.#changed = true;
  }

  /** One consistent picture; `changed` is false until something happens again. */
  snapshot(): Progress {
    this.#changed = false;
    return {
      firstOffset: this.#firstOffset,
      readPosition: this.#readPosition,
      unfinished: toRanges(this.#unfinished.keys()),
      held: this.#held.size,
      inFlight: this.#unfinished.size - this.#held.size,
      fates: Object.fromEntries(this.#fates),
      ...(this.#landmark === undefined ? {} : { landmark: this.#landmark }),
    };
  }
}

/** `row`, `drop:<reason>`, `dead_letter:<reason>`. */
export function fateKey(fate: Fate): string {
  return fate.kind === 'row' ? 'row' : `${fate.kind}:${fate.reason}`;
}
