/** Recognises an event that was sent again: same UUID, name and distinct id within the window, in one partition. */
import type { PipelineEvent } from '../event/event.ts';

interface Seen {
  readonly name: string;
  readonly distinctId: string;
  readonly teamId: number;
  readonly offset: number;
  readonly atMs: number;
}

export class Duplicates {
  readonly #seen = new Map<string, Seen>();
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
    const key = letter ?? uuid;
    const earlier = this.#seen.get(key);
    if (earlier === undefined || takenAtMs - earlier.atMs > this.#windowMs) {
      // Behind the others, so that the oldest is always the first to be forgotten.
      this.#seen.delete(key);
      this.#seen.set(key, { name, distinctId, teamId, offset, atMs: takenAtMs });
      this.#forget(takenAtMs);
      return false;
    }
    return (
      earlier.offset < offset &&
      earlier.name === name &&
      earlier.distinctId === distinctId &&
      earlier.teamId === teamId
    );
  }

  #forget(nowMs: number): void {
    for (const [seen, { atMs }] of this.#seen) {
      if (this.#seen.size <= this.#countMax && nowMs - atMs <= this.#windowMs) return;
      this.#seen.delete(seen);
    }
  }
}
