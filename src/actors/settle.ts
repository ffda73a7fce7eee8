/**
 * After a save: what was believed becomes what is known, and rows and persons become messages. To the dispatcher, which
 * goes on between two turns of it, what is not settled yet is still being saved.
 */
import type { DistinctId } from '../event/ids.ts';
import { groupKey } from '../person/group.ts';
import type { MovedId } from '../storage/person-store.ts';
import type { Routed } from './entry.ts';
import type { Flushed } from './flusher.ts';
import type { Groups } from './groups.ts';
import type { Identities } from './identities.ts';
import type { Messages } from './messages.ts';
import { leaderOf, type PersonHandle, type Persons } from './persons.ts';
import type { SavedPart } from './save-all.ts';
import type { Turn } from './turn.ts';

export interface Memory {
  readonly identities: Identities;
  readonly groups: Groups;
  readonly persons: Persons;
}

/** Gives the handles whose unsaved work has to be dispatched anew. */
export async function settle(
  flushed: readonly Flushed[],
  memory: Memory,
  messages: Messages,
  turn: Turn,
): Promise<ReadonlySet<PersonHandle>> {
  const redo = new Set<PersonHandle>();
  for (const { handle, routed, saved } of flushed) {
    if (turn.isOver) await turn.next();
    turn.add(routed.length);
    const { teamId } = handle;
    const released: DistinctId[] = [];
    for (const { ids } of routed) {
      for (const distinctId of ids) {
        const person = saved.folded.known.ids.get(distinctId);
        if (memory.identities.confirm({ teamId, distinctId }, person)) released.push(distinctId);
      }
    }
    settleGroups(memory.groups, routed, saved);
    messages.folded(teamId, routed, saved);
    const apart = memory.persons.settle(handle, routed.length, saved.folded, released);
    if (apart) redo.add(apart);
  }
  // Only now: work of the same save that stood on a moved id has been settled, too.
  for (const { handle, saved } of flushed) {
    for (const moved of saved.moved) {
      const other = learnMoved(memory, handle, moved);
      if (other) redo.add(other);
    }
  }
  return redo;
}

/** A merge found an id in Postgres: gives who believed it to be another's, if unsaved work did. */
function learnMoved(
  { identities, persons }: Memory,
  handle: PersonHandle,
  { distinctId, person }: MovedId,
): PersonHandle | undefined {
  const identity = { teamId: handle.teamId, distinctId };
  const pinned = identities.pinned(identity);
  identities.overtaken(identity);
  if (pinned?.kind !== 'person' || pinned.uuid === person) return undefined;
  const other = persons.activeOf(pinned.uuid);
  return other && leaderOf(other) !== leaderOf(handle) ? leaderOf(other) : undefined;
}

function settleGroups(
  known: Groups,
  routed: readonly Routed[],
  { folded, groups, oversized }: SavedPart,
): void {
  const refused = new Set(oversized);
  routed.forEach(({ groups: { change } }, index) => {
    if (change === undefined) return;
    if (folded.outcomes[index]?.kind === 'failed' || refused.has(change)) {
      known.forget(change);
      return;
    }
    const key = groupKey(change);
    const saved = groups.findLast((group) => groupKey(group) === key);
    known.settle(change, saved);
  });
}
