/** What a save is asked to do for the events of one actor. */
import type { DerivePersonUuid, TeamId } from '../event/ids.ts';
import { dependsOnPerson, type Folded, foldEvents } from '../person/fold.ts';
import type { Known } from '../person/known.ts';
import type { PersonWork } from '../storage/person-store.ts';
import type { Routed } from './entry.ts';

const NOBODY: ReadonlySet<never> = new Set();

/** Folds `routed` on what is believed, and states it. `isOutdated`: Postgres has to be asked in any case. */
export function personWork(
  teamId: TeamId,
  believed: Known,
  routed: readonly Routed[],
  derivePersonUuid: DerivePersonUuid,
  isOutdated: boolean,
): PersonWork {
  const folded = foldEvents(believed, routed, { derivePersonUuid, overfull: NOBODY });
  return {
    teamId,
    believed,
    checked: isOutdated || writes(folded) || routed.some(dependsOnPerson),
    folded,
    refold: (persons, overfull) =>
      foldEvents({ persons, ids: believed.ids }, routed, { derivePersonUuid, overfull }),
    records: routed.map(({ entry: { partition, offset, repeat }, order }) => ({
      partition,
      offset,
      repeat,
      order,
    })),
  };
}

function writes({ written, newIds, merged, groupChanges }: Folded): boolean {
  return written.length + newIds.length + merged.length + groupChanges.length > 0;
}
