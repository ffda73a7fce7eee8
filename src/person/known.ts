/** What a fold begins with and ends with: persons, and whom the ids that it touches belong to. */
import type { DistinctId, PersonUuid } from '../event/ids.ts';
import type { Person } from './person.ts';

export interface Known {
  readonly persons: ReadonlyMap<PersonUuid, Person>;
  /** `undefined`: nobody yet. Of one project. */
  readonly ids: ReadonlyMap<DistinctId, PersonUuid | undefined>;
}

/** What one event sees of that. */
export interface Seen {
  readonly persons: Pick<Known['persons'], 'get'>;
  readonly ids: Pick<Known['ids'], 'get'>;
}

/** A distinct id that gets its first person. Version 0: the person's UUID is the one derived from the id. */
export interface NewId {
  readonly distinctId: DistinctId;
  readonly person: PersonUuid;
  readonly version: number;
}

/** A person that was merged into another one: all its ids lead to `into`, and it is deleted. */
export interface MergedAway {
  /** As it was last; its version is that of its deletion. */
  readonly person: Person;
  /** The survivor, after all merges of the fold. */
  readonly into: PersonUuid;
}
