/** Of each type of warning and what it is about, one an hour is enough. */
import { LRUCache } from 'lru-cache';
import type { EventWarning } from '../event/event.ts';
import type { TeamId } from '../event/ids.ts';

const HOUR_MS = 60 * 60 * 1000;

export class WarningDebounce {
  readonly #seen: LRUCache<string, true>;

  /** `countMax`: warnings that are remembered. */
  constructor(countMax: number) {
    this.#seen = new LRUCache({ max: countMax });
  }

  isFirst(teamId: TeamId, { type, sourceId }: EventWarning, nowMs: number): boolean {
    const key = `${teamId}:${type}:${Math.floor(nowMs / HOUR_MS)}:${sourceId}`;
    if (this.#seen.has(key)) return false;
    this.#seen.set(key, true);
    return true;
  }
}
