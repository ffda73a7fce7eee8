/** What torture of one process gives back. */
import type { Books } from '../../src/books.ts';
import type { Fates } from './torture-follow.ts';
import type { Gap } from './torture-gaps.ts';

/** One death. */
export interface Kill {
  readonly kill: number;
  /** `start`: at any time while the process starts. */
  readonly aim: Gap | 'start';
  /** Gaps that were hit, and how many requests, events or saves were in them. */
  readonly hits: Readonly<Partial<Record<Gap, number>>>;
  /** Events answered 200 so far. */
  readonly acknowledged: number;
  /** Since the beginning. */
  readonly atMinutes: number;
}

/** `gap`: how many kills were aimed at it, and how many hit it. */
export interface GapCount {
  readonly gap: Gap;
  readonly aimed: number;
  readonly hit: number;
}

export interface TortureResult {
  readonly kills: readonly Kill[];
  readonly gaps: readonly GapCount[];
  readonly acknowledged: number;
  readonly fates: Fates;
  readonly persons: number;
  /** Rows that were inserted again, and that ClickHouse had not merged away in the end. */
  readonly rowsRepeated: number;
  /** The most that one process had resident. */
  readonly rssMaxMib: number;
  readonly books: Books | undefined;
  readonly problems: readonly string[];
  /** What is kept, if something is wrong. */
  readonly folders: readonly string[];
}
