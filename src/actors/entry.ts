/** One record on its way from its lane to its row. */
import type { Foldable } from '../person/fold.ts';

export interface Entry extends Foldable {
  readonly partition: number;
  readonly offset: number;
  /** Of the record's value. */
  readonly bytes: number;
  /** Milliseconds since the epoch: the record's own, less a second where its row may have been sent before. */
  readonly rowTimestampMs: number;
}

/** What the dispatcher believed of the entry's distinct id when it decided whose the event is. */
export type Claim =
  /** It has no person, and gets this one. */
  | 'new'
  /** It leads to this person. */
  | 'known'
  /** It has no person, and the event wants none. */
  | 'none';

export interface Routed {
  readonly entry: Entry;
  readonly claim: Claim;
}

/** By partition and offset: the order in which a redo goes. */
export const inLogOrder = (a: Entry, b: Entry): number => a.partition - b.partition || a.offset - b.offset;
