/**
 * One person's actor: its mailbox brings the person's events in log order; they wait until a save is due, are folded
 * on the person as last confirmed, and become its new state when the save says so.
 *
 * Modes: open     events may wait
 *        folding  some of them are with the flusher, later ones wait
 *        retired  it gave everything back and takes no more
 * Moves: open → folding (fold) · folding → open (confirmed) · open, folding → retired (surrender)
 */
import type { PersonUuid, TeamId } from '../event/ids.ts';
import type { Person } from '../person/person.ts';
import type { Mapping, PersonWork } from '../storage/person-store.ts';
import type { Behaviour } from './actor-system.ts';
import type { Entry, Routed } from './entry.ts';
import { Lifecycle, type Moves } from './lifecycle.ts';
import { personWork } from './person-work.ts';

type Mode = 'open' | 'folding' | 'retired';
const MOVES: Moves<Mode> = { open: ['folding', 'retired'], folding: ['open', 'retired'], retired: [] };

export type PersonMessage =
  /** Events of one poll, in log order. */
  | { readonly kind: 'slice'; readonly routed: readonly Routed[] }
  /** Fold what waits and hand it over. */
  | { readonly kind: 'fold'; readonly offer: (folding: Folding) => void }
  /** What was handed over is saved, and this is the person now. */
  | { readonly kind: 'confirmed'; readonly person: Person | undefined }
  /** A belief was wrong: give everything unsaved back. */
  | { readonly kind: 'surrender'; readonly give: (entries: readonly Entry[]) => void };

/** Events with the work that saves them, handed to the flusher. */
export interface Folding {
  readonly routed: readonly Routed[];
  readonly work: PersonWork;
}

export interface PersonState {
  readonly teamId: TeamId;
  readonly uuid: PersonUuid;
  readonly life: Lifecycle<Mode>;
  /** As last confirmed; `undefined` while there is no profile. */
  person: Person | undefined;
  waiting: Routed[];
  folding: readonly Routed[];
}

export function personState(teamId: TeamId, uuid: PersonUuid, person: Person | undefined): PersonState {
  return {
    teamId,
    uuid,
    life: new Lifecycle(`person ${uuid}`, MOVES, 'open'),
    person,
    waiting: [],
    folding: [],
  };
}

/** `mappingVersion`: 0 where the person's UUID is the one derived from the id, so that no override is needed. */
export function personBehaviour(
  mappingVersion: (state: PersonState, mapping: Mapping['distinctId']) => number,
): Behaviour<PersonState, PersonMessage> {
  return (state, message) => {
    switch (message.kind) {
      case 'slice':
        state.waiting.push(...message.routed);
        return state;
      case 'fold': {
        state.life.move('folding');
        state.folding = state.waiting;
        state.waiting = [];
        const newIds = new Map<Mapping['distinctId'], Mapping>();
        for (const { entry, claim } of state.folding) {
          const { distinctId } = entry.event;
          if (claim === 'new')
            newIds.set(distinctId, { distinctId, version: mappingVersion(state, distinctId) });
        }
        const work = personWork(state, state.person, state.folding, [...newIds.values()]);
        message.offer({ routed: state.folding, work });
        return state;
      }
      case 'confirmed':
        state.life.move('open');
        state.folding = [];
        state.person = message.person;
        return state;
      case 'surrender': {
        state.life.move('retired');
        const given = [...state.folding, ...state.waiting].map(({ entry }) => entry);
        state.folding = [];
        state.waiting = [];
        message.give(given);
        return state;
      }
    }
  };
}
