/**
 * Recognises an event that was sent again: same UUID, name and distinct id within the window, in one partition. An
 * event is one text and two numbers in a ring, as V8 marks every object each time that it collects the heap.
 */
import type { PipelineEvent } from '../event/event.ts';

export class Duplicates {
  /** Where in the ring an event is, by all that makes it the same. */
  readonly #places = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #offsets: number[] = [];
  /** Times of the records, milliseconds since the epoch. */
  readonly #times: number[] = [];
  /** The oldest one and the next one, counted from the beginning: `n` is at the place `n % countMax`. */
  #oldest = 0;
  #next = 0;
  readonly #countMax: number;
  readonly #windowMs: number;

  constructor(countMax: number, windowMs: number) {
    this.#countMax = countMax;
    this.#windowMs = windowMs;
  }

  /**
   * `takenAtMs`: the record's time. A record read a second time is no duplicate of itself. `letter`: id of the dead
   * letter that it was before: it is no duplicate of that event, but of another record of that letter.
   */
  isRepeat(event: PipelineEvent, offset: number, takenAtMs: number, letter?: string): boolean {
    const { uuid, name, distinctId, teamId } = event;
    // Joined, so that it is one text, and not a tree of its parts.
    const key = [letter ?? uuid, teamId, name.length, name, distinctId].join(' ');
    const place = this.#places.get(key);
    if (place !== undefined && takenAtMs - (this.#times[place] ?? 0) <= this.#windowMs) {
      return (this.#offsets[place] ?? 0) < offset;
    }
    this.#forget(takenAtMs);
    this.#remember(key, offset, takenAtMs);
    return false;
  }

  #remember(key: string, offset: number, takenAtMs: number): void {
    const place = this.#next++ % this.#countMax;
    this.#places.set(key, place);
    this.#keys[place] = key;
    this.#offsets[place] = offset;
    this.#times[place] = takenAtMs;
  }

  /** Those that are too old, and one if there is no room for another one. */
  #forget(nowMs: number): void {
    for (; this.#oldest < this.#next; this.#oldest++) {
      const place = this.#oldest % this.#countMax;
      const isFull = this.#next - this.#oldest >= this.#countMax;
      if (!isFull && nowMs - (this.#times[place] ?? 0) <= this.#windowMs) return;
      const key = this.#keys[place] ?? '';
      // It may have come once more, behind the others.
      if (this.#places.get(key) === place) this.#places.delete(key);
    }
  }
}
