/** Recognises an event that was sent again: same UUID, name and distinct id within the window, in one partition. */
import type { PipelineEvent } from '../event/event.ts';
import { blockCostBytes, TextCache } from '../off-heap/text-cache.ts';

/** Most events fit in one. */
const BLOCK_BYTES = 128;
/** What a name and an id of 200 characters take. */
const EVENT_BYTES_MAX = 14 * blockCostBytes(BLOCK_BYTES);

export class Duplicates {
  /** Offset and time of the record, by all that makes an event the same. */
  readonly #seen: TextCache;
  readonly #windowMs: number;

  /** Past `countMax`, whoever came first is forgotten. */
  constructor(countMax: number, windowMs: number) {
    this.#seen = new TextCache({
      bytesMax: countMax * EVENT_BYTES_MAX,
      blockBytes: BLOCK_BYTES,
      entriesMax: countMax,
    });
    this.#windowMs = windowMs;
  }

  /**
   * `takenAtMs`: the record's time, milliseconds since the epoch. A record read a second time is no duplicate of itself.
   * `letter`: id of the dead letter that it was before: it is no duplicate of that event, but of another record of that
   * letter.
   */
  isRepeat(event: PipelineEvent, offset: number, takenAtMs: number, letter?: string): boolean {
    const { uuid, name, distinctId, teamId } = event;
    const key = `${letter ?? uuid} ${teamId} ${name.length} ${name} ${distinctId}`;
    const [seenOffset, seenAtMs] = this.#seen.peek(key)?.split(' ').map(Number) ?? [];
    if (seenOffset !== undefined && seenAtMs !== undefined && takenAtMs - seenAtMs <= this.#windowMs)
      return seenOffset < offset;
    this.#seen.set(key, `${offset} ${takenAtMs}`);
    return false;
  }
}
