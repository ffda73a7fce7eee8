/** What a project's restrictions do to its events. */
import type { DistinctId } from './ids.ts';

/**
 * `drop`: the event ends without a row. `no_person_profile`: as if it said `$process_person_profile: false`. `overflow`:
 * reserved, does nothing yet.
 */
export const RESTRICTIONS = ['drop', 'no_person_profile', 'overflow'] as const;
export type Restriction = (typeof RESTRICTIONS)[number];

export interface Restrictions {
  /** On every event of the project. */
  readonly ofAll: ReadonlySet<Restriction>;
  /** On the events of some distinct ids. */
  readonly ofIds: ReadonlyMap<DistinctId, ReadonlySet<Restriction>>;
}

export const UNRESTRICTED: Restrictions = { ofAll: new Set(), ofIds: new Map() };

export const isRestricted = (
  { ofAll, ofIds }: Restrictions,
  restriction: Restriction,
  distinctId: DistinctId,
): boolean => ofAll.has(restriction) || ofIds.get(distinctId)?.has(restriction) === true;
