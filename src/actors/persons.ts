/**
 * The persons that are known. One with unsaved work has an actor, whatever the bound says. The others rest without one,
 * each as a text outside of V8's heap, as long as they fit; the one that was not needed for the longest goes first. Persons
 * that merges may join share one actor until nothing of them is unsaved.
 */
import type { DerivePersonUuid, DistinctId, PersonUuid, TeamId } from '../event/ids.ts';
import { TextCache } from '../off-heap/text-cache.ts';
import type { Folded } from '../person/fold.ts';
import type { Person } from '../person/person.ts';
import type { ActorRef, ActorSystem } from './actor-system.ts';
import type { Routed } from './entry.ts';
import { invariant } from './lifecycle.ts';
import { type IdBelief, type PersonMessage, personBehaviour, personState } from './person-actor.ts';
import { restingOf, resume, versionOf } from './resting.ts';
import type { PersonNews } from './tail.ts';

export interface PersonHandle {
  readonly teamId: TeamId;
  readonly actor: ActorRef<PersonMessage>;
  /** Whose events it takes. */
  readonly uuids: Set<PersonUuid>;
  /** The one whose actor has taken over. */
  joinedTo: PersonHandle | undefined;
  /** Events that it, and those joined to it, have taken and that are not saved. */
  pending: number;
  /** Called once `pending` has fallen: who waits for room. */
  readonly waitingForRoom: Set<() => void>;
  /** The person that it began with, and how it rested before. */
  readonly begun: Begun | undefined;
}

interface Begun {
  readonly person: Person;
  readonly resting: string | undefined;
}

/** Most persons fit in a few of them. */
const BLOCK_BYTES = 256;

export class Persons {
  readonly #active = new Map<PersonUuid, PersonHandle>();
  #resting: TextCache;
  readonly #bytesMax: number;
  /** The newest version of each active person that the log has told of. */
  readonly #heard = new Map<PersonUuid, number>();
  readonly #system: ActorSystem;
  readonly #behaviour: ReturnType<typeof personBehaviour>;

  constructor(system: ActorSystem, bytesMax: number, derivePersonUuid: DerivePersonUuid) {
    this.#system = system;
    this.#behaviour = personBehaviour(derivePersonUuid);
    this.#bytesMax = bytesMax;
    this.#resting = nobodyRests(bytesMax);
  }

  has(uuid: PersonUuid): boolean {
    return this.#active.has(uuid) || this.#resting.has(uuid);
  }

  /** Whose actor takes the person's events, if some of them are unsaved. */
  activeOf(uuid: PersonUuid): PersonHandle | undefined {
    return this.#active.get(uuid);
  }

  /**
   * Makes the actor of a person just read; it is kept until what is delivered to it next is saved. One with unsaved
   * work stays as it is.
   */
  activate(teamId: TeamId, uuid: PersonUuid, person: Person | undefined): PersonHandle {
    const active = this.#active.get(uuid);
    if (
      active &&
      (person === undefined || active.pending > 0 || isAsNew(active.begun?.person, person.version))
    ) {
      if (person) this.hear({ uuid, version: person.version });
      return active;
    }
    if (active) this.drop(active);
    const resting = this.#resting.take(uuid);
    const begun =
      resting !== undefined && (person === undefined || versionOf(resting) >= person.version)
        ? { person: resume(resting), resting }
        : person && { person, resting: undefined };
    const handle = this.#spawn(teamId, uuid, begun);
    this.#active.set(uuid, handle);
    return handle;
  }

  /** The log tells of a version. One that is newer than what rests here: it is read again when it is needed. */
  hear(news: PersonNews): void {
    const { uuid, version } = news;
    const active = this.#active.get(uuid);
    if (active) {
      this.#heard.set(uuid, Math.max(version, this.#heard.get(uuid) ?? version));
      active.actor.tell({ kind: 'heard', news });
      return;
    }
    const resting = this.#resting.peek(uuid);
    if (resting !== undefined && versionOf(resting) < version) this.#resting.delete(uuid);
  }

  /** Anybody may have been changed elsewhere: who rests is read again, who has unsaved work is looked at by its save. */
  distrust(): void {
    if (this.#resting.size > 0) this.#resting = nobodyRests(this.#bytesMax);
    for (const uuid of this.#active.keys()) this.hear({ uuid, version: Number.POSITIVE_INFINITY });
  }

  /** Puts events into the person's mailbox. */
  deliver(handle: PersonHandle, routed: readonly Routed[], beliefs: readonly IdBelief[]): void {
    handle.pending += routed.length;
    handle.actor.tell({ kind: 'slice', routed, beliefs });
  }

  /** An event may merge `source` into `target`: from now on the target's actor takes the events of both. */
  join(source: PersonHandle, target: PersonHandle): void {
    invariant(source !== target, 'a person is not joined to itself');
    source.joinedTo = target;
    for (const uuid of source.uuids) {
      target.uuids.add(uuid);
      this.#active.set(uuid, target);
    }
    target.pending += source.pending;
    for (const proceed of source.waitingForRoom) target.waitingForRoom.add(proceed);
    source.waitingForRoom.clear();
    target.actor.tell({ kind: 'absorb', from: source.actor });
    source.actor.tell({ kind: 'yield', from: source.actor, to: target.actor });
  }

  /**
   * `count` of its events are saved with this result; no unsaved event stands on the `released` ids any more. Gives the
   * handle if what waits there has to be dispatched anew: several persons are there and nothing joins them any more, or
   * an event failed.
   */
  settle(
    handle: PersonHandle,
    count: number,
    folded: Folded,
    released: readonly DistinctId[],
  ): PersonHandle | undefined {
    const leader = leaderOf(handle);
    leader.pending -= count;
    const rest = leader.pending === 0;
    const persons = [...folded.known.persons.values()];
    if (rest) {
      invariant(handle === leader, 'who comes to rest has folded for itself');
      this.#rest(leader, persons);
    } else handle.actor.tell({ kind: 'confirmed', folded, released });
    for (const proceed of leader.waitingForRoom) proceed();
    leader.waitingForRoom.clear();
    // After a failed event the dispatcher may have decided on what it did not bring about.
    const isAmiss = persons.length > 1 || folded.outcomes.some(({ kind }) => kind === 'failed');
    return !rest && handle === leader && isAmiss ? leader : undefined;
  }

  /** Its actor has given everything back: its persons are read again when they are needed. */
  drop(handle: PersonHandle): void {
    this.#end(handle);
    for (const uuid of handle.uuids) this.#resting.delete(uuid);
    for (const proceed of handle.waitingForRoom) proceed();
    handle.waitingForRoom.clear();
  }

  #spawn(teamId: TeamId, uuid: PersonUuid, begun: Begun | undefined): PersonHandle {
    return {
      teamId,
      actor: this.#system.spawn(uuid, personState(teamId, uuid, begun?.person), this.#behaviour),
      uuids: new Set([uuid]),
      joinedTo: undefined,
      pending: 0,
      waitingForRoom: new Set(),
      begun,
    };
  }

  /** Nothing waits at the actor: it ends, and its persons rest. */
  #rest(handle: PersonHandle, persons: readonly Person[]): void {
    for (const person of persons) {
      const heard = this.#heard.get(person.uuid);
      if (heard !== undefined && person.version < heard) continue;
      const before = person === handle.begun?.person ? handle.begun.resting : undefined;
      this.#resting.set(person.uuid, before ?? restingOf(person));
    }
    this.#end(handle);
  }

  #end(handle: PersonHandle): void {
    for (const uuid of handle.uuids) {
      this.#active.delete(uuid);
      this.#heard.delete(uuid);
    }
    handle.actor.stop();
  }
}

const nobodyRests = (bytesMax: number) => new TextCache({ bytesMax, blockBytes: BLOCK_BYTES });

/** Whose actor takes its events by now. */
export function leaderOf(handle: PersonHandle): PersonHandle {
  let leader = handle;
  while (leader.joinedTo) leader = leader.joinedTo;
  return leader;
}

const isAsNew = (known: Person | undefined, version: number): boolean =>
  known !== undefined && known.version >= version;
