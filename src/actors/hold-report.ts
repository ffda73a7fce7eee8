/** What people are told about held events. */
import type { DistinctId, EventUuid } from '../event/ids.ts';

/** Why a held event went on. */
export const RELEASE_REASONS = [
  /** Another event gave its distinct id a person. */
  'person',
  /** Nobody came: its time was over. */
  'time',
  /** Held events took too much memory, and it was among the oldest. */
  'memory',
] as const;
export type ReleaseReason = (typeof RELEASE_REASONS)[number];

/** What the hold knows of one event. */
export type HoldReport =
  | {
      readonly state: 'held';
      readonly distinctId: DistinctId;
      /** Milliseconds since the epoch: when it goes on at the latest, but for a backlog. */
      readonly untilMs: number;
      /** Events that are held for this distinct id. */
      readonly events: number;
    }
  | {
      readonly state: 'released';
      readonly distinctId: DistinctId;
      readonly by: ReleaseReason;
      /** The event that gave the id its person. */
      readonly byEvent: { readonly uuid: EventUuid; readonly name: string } | undefined;
    };

/** Some events began to be held; at most one notice in a while. */
export interface HoldNotice {
  readonly distinctId: DistinctId;
  readonly untilMs: number;
  /** Distinct ids that have held events, and all their events. */
  readonly ids: number;
  readonly events: number;
}
