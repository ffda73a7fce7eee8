/** One record on its way from its lane to its row. */
import type { DistinctId } from '../event/ids.ts';
import type { Foldable, FoldInput } from '../person/fold.ts';
import { mergeRequest } from '../person/merge.ts';
import { wantsProfile } from '../person/stages/profile.ts';
import type { Identity } from '../storage/person-store.ts';

export interface Entry extends Foldable {
  readonly partition: number;
  readonly offset: number;
  /** Of the record's value. */
  readonly bytes: number;
  /** When the log took the record, milliseconds since the epoch. */
  readonly recordedAtMs: number;
  /** Milliseconds since the epoch: the record's own, less a second where its row may have been sent before. */
  readonly rowTimestampMs: number;
  /** When this owner first read it, by the monotonic clock. */
  readonly seenAtMs: number;
  /** It was held, and its time is over: it is not held again. */
  readonly released: boolean;
}

export interface Routed extends FoldInput {
  readonly entry: Entry;
  /** Ids that it stands on: they stay as they are believed until it is saved or redone. */
  readonly ids: readonly DistinctId[];
  /** Rises with every event that is dispatched. */
  readonly order: number;
}

/** Whether it may make or change a person. */
export const wants = ({ event, project, repeat }: Entry): boolean => !repeat && wantsProfile(event, project);

export const identityOf = ({ event: { teamId, distinctId } }: Entry): Identity => ({ teamId, distinctId });

/** The id that the event joins with its own. */
export function otherIdOf(entry: Entry): Identity | undefined {
  const request = wants(entry) ? mergeRequest(entry.event) : undefined;
  if (request === undefined || request.illegalId !== undefined) return undefined;
  return { teamId: entry.event.teamId, distinctId: request.otherId };
}

/** By partition and offset: the order in which a redo goes. */
export const inLogOrder = (a: RecordAt, b: RecordAt): number =>
  a.partition - b.partition || a.offset - b.offset;

export interface RecordAt {
  readonly partition: number;
  readonly offset: number;
}

/** A partition's records up to this one have been dispatched, or have ended before. */
export interface Reached {
  readonly partition: number;
  readonly offset: number;
  readonly recordedAtMs: number;
}
