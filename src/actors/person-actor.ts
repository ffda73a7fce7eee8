/**
 * One person's actor: its mailbox brings the person's events in log order; they wait until a save is due, are folded
 * on the person as last confirmed, and become its new state when the save says so.
 *
 * Where an event may merge two persons, the source's actor is told to yield and the target's to absorb, in the same
 * step: the target takes over what waits at the source, and folds for both. Messages that have to wait for that, or
 * for a save, are stashed in their order. A source never waits for its target, so no two wait for each other.
 *
 * Once nothing of it is unsaved, `persons.ts` stops it.
 *
 * Modes: open     events may wait
 *        folding  some of them are with the flusher, later ones wait
 *        yielded  another actor has taken over
 *        retired  it gave everything back and takes no more
 * Moves: open → folding (fold) · folding → open (confirmed, broken) · open → yielded (yield) · open → retired (surrender)
 */
import type { DerivePersonUuid, DistinctId, PersonUuid, TeamId } from '../event/ids.ts';
import type { Folded } from '../person/fold.ts';
import { type Person, UNSAVED_VERSION } from '../person/person.ts';
import type { PersonWork } from '../storage/person-store.ts';
import type { ActorRef, Behaviour } from './actor-system.ts';
import type { Routed } from './entry.ts';
import { Lifecycle, type Moves } from './lifecycle.ts';
import { personWork } from './person-work.ts';
import type { PersonNews } from './tail.ts';

type Mode = 'open' | 'folding' | 'yielded' | 'retired';
const MOVES: Moves<Mode> = {
  open: ['folding', 'yielded', 'retired'],
  folding: ['open'],
  yielded: [],
  retired: [],
};

/** Whom an id belongs to, as read or as last saved; `undefined`: nobody. */
export type IdBelief = readonly [DistinctId, PersonUuid | undefined];

export type PersonMessage =
  /** Events of one poll, in log order, with what is believed of ids that no unsaved event stood on before. */
  | { readonly kind: 'slice'; readonly routed: readonly Routed[]; readonly beliefs: readonly IdBelief[] }
  /** Hand over what waits, as far as `eventsMax` goes. */
  | { readonly kind: 'fold'; readonly eventsMax: number; readonly offer: (folding: Folding) => void }
  /** What was handed over is saved. */
  | {
      readonly kind: 'confirmed';
      readonly folded: Folded;
      /** Ids that no unsaved event stands on any more. */
      readonly released: readonly DistinctId[];
    }
  /** What was handed over is not saved: a belief was wrong. */
  | { readonly kind: 'broken' }
  /** Wait for what this actor yields. */
  | { readonly kind: 'absorb'; readonly from: ActorRef<PersonMessage> }
  /** Hand everything to the actor `to`; `from` is oneself. */
  | {
      readonly kind: 'yield';
      readonly from: ActorRef<PersonMessage>;
      readonly to: ActorRef<PersonMessage>;
    }
  /** What the actor `from` had. */
  | { readonly kind: 'yielded'; readonly from: ActorRef<PersonMessage>; readonly yielded: Yielded }
  /** The log tells of a version of this person. */
  | { readonly kind: 'heard'; readonly news: PersonNews }
  /** Give everything unsaved back. */
  | { readonly kind: 'surrender'; readonly give: (routed: readonly Routed[]) => void };

/** Events that are handed to the flusher. */
export interface Folding {
  readonly routed: readonly Routed[];
  /** The work that saves them. What it stands on stays as it is until then. */
  readonly fold: () => PersonWork;
  /** Events that go on waiting. */
  readonly left: number;
}

interface Yielded {
  readonly persons: ReadonlyMap<PersonUuid, Person>;
  readonly ids: ReadonlyMap<DistinctId, PersonUuid | undefined>;
  readonly gone: ReadonlyMap<PersonUuid, PersonUuid>;
  readonly waiting: readonly Routed[];
  readonly isOutdated: boolean;
}

export interface PersonState {
  readonly teamId: TeamId;
  readonly life: Lifecycle<Mode>;
  /** As last confirmed: the actor's own person, and those that it absorbed. Empty while there is no profile. */
  persons: Map<PersonUuid, Person>;
  /** Somebody else has `persons`, too: it is copied before it changes. */
  sharesPersons: boolean;
  /** What is believed of the ids that unsaved events stand on. */
  ids: Map<DistinctId, PersonUuid | undefined>;
  /** Somebody else has `ids`, too. */
  sharesIds: boolean;
  /** Persons that were merged away here, and who took their place. */
  gone: Map<PersonUuid, PersonUuid>;
  /** Somebody else has changed one of the persons: the next save looks, whatever it has to write. */
  isOutdated: boolean;
  waiting: Routed[];
  folding: readonly Routed[];
  /** Actors that have still to yield. */
  awaited: ReadonlySet<ActorRef<PersonMessage>>;
  /** What came before the turn of its `absorb`. */
  early: Map<ActorRef<PersonMessage>, Yielded>;
  readonly stash: PersonMessage[];
}

/** Shared: only actors that merges concern need their own. */
const NO_GONE: PersonState['gone'] = new Map();
const NO_EARLY: PersonState['early'] = new Map();
const NO_ACTORS: ReadonlySet<never> = new Set<never>();
const NO_IDS: PersonState['ids'] = new Map();

export function personState(teamId: TeamId, uuid: PersonUuid, person: Person | undefined): PersonState {
  return {
    teamId,
    life: new Lifecycle(`person ${uuid}`, MOVES, 'open'),
    persons: new Map(person ? [[uuid, person]] : []),
    sharesPersons: false,
    ids: NO_IDS,
    sharesIds: true,
    gone: NO_GONE,
    isOutdated: false,
    waiting: [],
    folding: [],
    awaited: NO_ACTORS,
    early: NO_EARLY,
    stash: [],
  };
}

export function personBehaviour(derivePersonUuid: DerivePersonUuid): Behaviour<PersonState, PersonMessage> {
  return (state, message) => {
    if (state.stash.length > 0 || hasToWait(state, message)) {
      if (!endsWaiting(message)) {
        state.stash.push(message);
        return state;
      }
    }
    take(state, message, derivePersonUuid);
    for (let next = state.stash[0]; next && !hasToWait(state, next); next = state.stash[0]) {
      state.stash.shift();
      take(state, next, derivePersonUuid);
    }
    return state;
  };
}

/** They are what the others wait for, or wait for nothing. */
const endsWaiting = ({ kind }: PersonMessage): boolean =>
  kind === 'yielded' || kind === 'confirmed' || kind === 'broken' || kind === 'heard';

function hasToWait({ awaited, life }: PersonState, { kind }: PersonMessage): boolean {
  if (kind === 'absorb') return false;
  return awaited.size > 0 || (life.is('folding') && kind !== 'slice');
}

function take(state: PersonState, message: PersonMessage, derivePersonUuid: DerivePersonUuid): void {
  switch (message.kind) {
    case 'slice':
      for (const [id, uuid] of message.beliefs) ownIds(state).set(id, survivor(state, uuid));
      for (const routed of message.routed) state.waiting.push(routed);
      return;
    case 'fold': {
      state.life.move('folding');
      state.folding = state.waiting.slice(0, message.eventsMax);
      state.waiting = state.waiting.slice(message.eventsMax);
      const believed = { persons: state.persons, ids: state.ids };
      state.sharesPersons = true;
      state.sharesIds = true;
      const { teamId, folding: routed, isOutdated } = state;
      state.isOutdated = false;
      const fold = () => personWork(teamId, believed, routed, derivePersonUuid, isOutdated);
      message.offer({ routed, fold, left: state.waiting.length });
      return;
    }
    case 'confirmed':
      state.life.move('open');
      state.folding = [];
      confirm(state, message.folded, message.released);
      return;
    case 'broken':
      state.life.move('open');
      state.waiting = [...state.folding, ...state.waiting];
      state.folding = [];
      return;
    case 'absorb': {
      const early = state.early.get(message.from);
      if (early === undefined) state.awaited = new Set([...state.awaited, message.from]);
      else {
        absorb(state, early);
        state.early.delete(message.from);
      }
      return;
    }
    case 'yield': {
      const { persons, ids, gone, waiting, isOutdated } = state;
      state.sharesPersons = true;
      state.sharesIds = true;
      state.life.move('yielded');
      const yielded = { persons, ids, gone, waiting, isOutdated };
      message.to.tell({ kind: 'yielded', from: message.from, yielded });
      state.waiting = [];
      return;
    }
    case 'yielded':
      // It has nothing left, and nobody else tells it anything.
      message.from.stop();
      if (state.awaited.has(message.from)) {
        state.awaited = new Set([...state.awaited].filter((one) => one !== message.from));
        absorb(state, message.yielded);
      } else {
        if (state.early === NO_EARLY) state.early = new Map();
        state.early.set(message.from, message.yielded);
      }
      return;
    case 'heard': {
      const { uuid, version } = message.news;
      const known = state.persons.get(uuid)?.version ?? UNSAVED_VERSION;
      if (version > known && !state.gone.has(uuid)) state.isOutdated = true;
      return;
    }
    case 'surrender':
      state.life.move('retired');
      message.give(state.waiting);
      state.waiting = [];
      return;
  }
}

function absorb(state: PersonState, { persons, ids, gone, waiting, isOutdated }: Yielded): void {
  for (const [uuid, person] of persons) ownPersons(state).set(uuid, person);
  for (const [uuid, into] of gone) ownGone(state).set(uuid, into);
  for (const [id, uuid] of ids) ownIds(state).set(id, uuid);
  for (const routed of waiting) state.waiting.push(routed);
  state.isOutdated ||= isOutdated;
}

/** The save's result; ids that only later events stand on follow its merges. */
function confirm(state: PersonState, { known, merged }: Folded, released: readonly DistinctId[]): void {
  const persons = ownPersons(state);
  for (const { person, into } of merged) {
    persons.delete(person.uuid);
    ownGone(state).set(person.uuid, into);
  }
  for (const [uuid, person] of known.persons) persons.set(uuid, person);
  const own = ownIds(state);
  for (const [id, uuid] of own) own.set(id, survivor(state, uuid));
  for (const [id, uuid] of known.ids) own.set(id, uuid);
  for (const id of released) own.delete(id);
}

function ownPersons(state: PersonState): PersonState['persons'] {
  if (state.sharesPersons) state.persons = new Map(state.persons);
  state.sharesPersons = false;
  return state.persons;
}

function ownGone(state: PersonState): PersonState['gone'] {
  if (state.gone === NO_GONE) state.gone = new Map();
  return state.gone;
}

function ownIds(state: PersonState): PersonState['ids'] {
  if (state.sharesIds) state.ids = new Map(state.ids);
  state.sharesIds = false;
  return state.ids;
}

function survivor({ gone }: PersonState, uuid: PersonUuid | undefined): PersonUuid | undefined {
  let last = uuid;
  while (last !== undefined && gone.has(last)) last = gone.get(last);
  return last;
}
