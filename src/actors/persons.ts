/**
 * The persons that have an actor. One with unsaved work is kept whatever the bound says; the others are kept as long
 * as they fit, and the one that was not needed for the longest goes first. Persons that merges may join share one
 * actor until nothing of them is unsaved.
 */
import { LRUCache } from 'lru-cache';
import type { DerivePersonUuid, DistinctId, PersonUuid, TeamId } from '../event/ids.ts';
import type { Folded } from '../person/fold.ts';
import type { Person } from '../person/person.ts';
import type { ActorRef, ActorSystem } from './actor-system.ts';
import type { Routed } from './entry.ts';
import { invariant } from './lifecycle.ts';
import { type IdBelief, type PersonMessage, personBehaviour, personState } from './person-actor.ts';
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
  /** Of the person that it began with, or rests with. */
  version: number | undefined;
  /** The person as last measured, and about how many bytes it takes. */
  measured: Person | undefined;
  bytes: number;
}

/** An actor, its mailbox and its context in nact; a property's key and value beside their characters. */
const ACTOR_OVERHEAD_BYTES = 2_000;
const BYTES_PER_JSON_CHAR = 4;

export class Persons {
  readonly #active = new Map<PersonUuid, PersonHandle>();
  readonly #idle: LRUCache<PersonUuid, PersonHandle>;
  /** The newest version of each active person that the log has told of. */
  readonly #heard = new Map<PersonUuid, number>();
  readonly #system: ActorSystem;
  readonly #behaviour: ReturnType<typeof personBehaviour>;

  constructor(system: ActorSystem, bytesMax: number, derivePersonUuid: DerivePersonUuid) {
    this.#system = system;
    this.#behaviour = personBehaviour(derivePersonUuid);
    this.#idle = new LRUCache({
      maxSize: bytesMax,
      dispose: (handle, _uuid, reason) => {
        if (reason === 'evict') handle.actor.stop();
      },
    });
  }

  get activeCount(): number {
    return this.#active.size;
  }

  get idleCount(): number {
    return this.#idle.size;
  }

  has(uuid: PersonUuid): boolean {
    return this.#active.has(uuid) || this.#idle.has(uuid);
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
    if (active && (person === undefined || active.pending > 0 || isAsNew(active, person))) {
      if (person) this.hear({ uuid, version: person.version });
      return active;
    }
    if (active) this.drop(active);
    const idle = this.#idle.get(uuid);
    if (idle) {
      this.#idle.delete(uuid);
      if (person === undefined || isAsNew(idle, person)) {
        this.#active.set(uuid, idle);
        return idle;
      }
      idle.actor.stop();
    }
    const handle = this.#spawn(teamId, uuid, person);
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
    const idle = this.#idle.peek(uuid);
    if (idle === undefined || isAsNew(idle, news)) return;
    this.#idle.delete(uuid);
    idle.actor.stop();
  }

  /** Anybody may have been changed elsewhere: who rests is read again, who has unsaved work is looked at by its save. */
  distrust(): void {
    for (const { actor } of this.#idle.values()) actor.stop();
    this.#idle.clear();
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
    handle.actor.tell({ kind: 'confirmed', folded, released, rest });
    const persons = [...folded.known.persons.values()];
    if (rest) {
      const uuids = this.#heard.size > 0 ? [...leader.uuids] : [];
      this.#rest(leader, persons);
      for (const uuid of uuids) this.#heard.delete(uuid);
    }
    for (const proceed of leader.waitingForRoom) proceed();
    leader.waitingForRoom.clear();
    // After a failed event the dispatcher may have decided on what it did not bring about.
    const isAmiss = persons.length > 1 || folded.outcomes.some(({ kind }) => kind === 'failed');
    return !rest && handle === leader && isAmiss ? leader : undefined;
  }

  /** Its actor has given everything back: its persons are read again when they are needed. */
  drop(handle: PersonHandle): void {
    for (const uuid of handle.uuids) {
      this.#active.delete(uuid);
      this.#idle.delete(uuid);
      this.#heard.delete(uuid);
    }
    handle.actor.stop();
    for (const proceed of handle.waitingForRoom) proceed();
    handle.waitingForRoom.clear();
  }

  #spawn(teamId: TeamId, uuid: PersonUuid, person: Person | undefined): PersonHandle {
    return {
      teamId,
      actor: this.#system.spawn(uuid, personState(teamId, uuid, person), this.#behaviour),
      uuids: new Set([uuid]),
      joinedTo: undefined,
      pending: 0,
      waitingForRoom: new Set(),
      version: person?.version,
      measured: undefined,
      bytes: ACTOR_OVERHEAD_BYTES,
    };
  }

  /** Everybody who is still there gets an actor to itself. */
  #rest(handle: PersonHandle, persons: readonly Person[]): void {
    for (const uuid of handle.uuids) this.#active.delete(uuid);
    const [own] = handle.uuids;
    const [person] = persons;
    const uuid = person?.uuid ?? own;
    if (uuid !== undefined && persons.length <= 1 && handle.uuids.has(uuid)) {
      handle.uuids.clear();
      handle.uuids.add(uuid);
      this.#keep(uuid, handle, person);
      return;
    }
    handle.actor.stop();
    for (const each of persons) {
      this.#keep(each.uuid, this.#spawn(handle.teamId, each.uuid, each), each);
    }
  }

  #keep(uuid: PersonUuid, handle: PersonHandle, person: Person | undefined): void {
    handle.version = person?.version;
    const heard = this.#heard.get(uuid);
    if (heard !== undefined && !isAsNew(handle, { version: heard })) {
      handle.actor.stop();
      return;
    }
    if (person && person !== handle.measured) {
      handle.measured = person;
      handle.bytes = ACTOR_OVERHEAD_BYTES + jsonChars(person.properties) * BYTES_PER_JSON_CHAR;
    }
    this.#idle.set(uuid, handle, { size: handle.bytes });
    // Larger than the whole cache: not taken.
    if (!this.#idle.has(uuid)) handle.actor.stop();
  }
}

/** Whose actor takes its events by now. */
export function leaderOf(handle: PersonHandle): PersonHandle {
  let leader = handle;
  while (leader.joinedTo) leader = leader.joinedTo;
  return leader;
}

const isAsNew = ({ version }: PersonHandle, other: { readonly version: number }): boolean =>
  version !== undefined && version >= other.version;

/** About as many characters as the JSON text has, without making it. */
function jsonChars(value: unknown): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 8;
  let chars = 2;
  for (const [key, member] of Object.entries(value)) chars += key.length + 4 + jsonChars(member);
  return chars;
}
