/** What a save is asked to do for one person's events. */
import type { PersonUuid, TeamId } from '../event/ids.ts';
import { dependsOnPerson, foldEvents } from '../person/fold.ts';
import type { Person } from '../person/person.ts';
import type { Mapping, PersonWork } from '../storage/person-store.ts';
import type { Routed } from './entry.ts';

export interface WhoseWork {
  readonly teamId: TeamId;
  readonly uuid: PersonUuid;
}

/** Folds `routed` on `base` and states every belief that the fold stands on. */
export function personWork(
  { teamId, uuid }: WhoseWork,
  base: Person | undefined,
  routed: readonly Routed[],
  newIds: readonly Mapping[],
): PersonWork {
  const entries = routed.map(({ entry }) => entry);
  const folded = foldEvents(base, uuid, entries);
  // By an event whose own id was believed to be known: only Postgres can say.
  const isMade = base === undefined && folded.person !== undefined;
  const created = new Set(newIds.map(({ distinctId }) => distinctId));
  const known = new Set(
    routed
      .filter(({ claim, entry }) => claim === 'known' && !created.has(entry.event.distinctId))
      .map(({ entry }) => entry.event.distinctId),
  );
  return {
    teamId,
    uuid,
    base,
    // Where every event failed there is no person for the ids to lead to.
    newIds: folded.person ? newIds : [],
    knownIds: [...known],
    checked: newIds.length > 0 || entries.some(dependsOnPerson) || isMade,
    folded,
    refold: (real) => foldEvents(real, uuid, entries),
    offsets: entries.filter(({ repeat }) => !repeat).map(({ partition, offset }) => ({ partition, offset })),
  };
}
