/**
 * The persons that have an actor. One with unsaved work is kept whatever the bound says; the others are kept as long
 * as they fit, and the one that was not needed for the longest goes first.
 */
import { LRUCache } from 'lru-cache';
import type { PersonUuid, TeamId } from '../event/ids.ts';
import type { Person } from '../person/person.ts';
import type { Mapping } from '../storage/person-store.ts';
import type { ActorRef, ActorSystem } from './actor-system.ts';
import type { Routed } from './entry.ts';
import { invariant } from './lifecycle.ts';
import { type PersonMessage, type PersonState, personBehaviour, personState } from './person-actor.ts';

export interface PersonHandle {
  readonly uuid: PersonUuid;
  readonly teamId: TeamId;
  readonly actor: ActorRef<PersonMessage>;
  /** Events that it has taken and that are not saved. */
  pending: number;
  /** Called once `pending` has fallen: who waits for room. */
  readonly waitingForRoom: Set<() => void>;
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
  readonly #system: ActorSystem;
  readonly #behaviour: ReturnType<typeof personBehaviour>;

  constructor(
    system: ActorSystem,
    bytesMax: number,
    mappingVersion: (state: PersonState, distinctId: Mapping['distinctId']) => number,
  ) {
    this.#system = system;
    this.#behaviour = personBehaviour(mappingVersion);
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

  /**
   * Makes the actor of a person just read, or of somebody without a profile; nothing if it has one. It is kept until
   * what is delivered to it next is saved.
   */
  activate(teamId: TeamId, uuid: PersonUuid, person: Person | undefined): void {
    if (this.has(uuid)) return;
    const actor = this.#system.spawn(uuid, personState(teamId, uuid, person), this.#behaviour);
    this.#active.set(uuid, {
      uuid,
      teamId,
      actor,
      pending: 0,
      waitingForRoom: new Set(),
      measured: undefined,
      bytes: ACTOR_OVERHEAD_BYTES,
    });
  }

  /** Puts events into the person's mailbox. */
  deliver(uuid: PersonUuid, routed: readonly Routed[]): PersonHandle {
    const handle = this.#active.get(uuid) ?? this.#wake(uuid);
    handle.pending += routed.length;
    handle.actor.tell({ kind: 'slice', routed });
    return handle;
  }

  /** `count` of its events are saved, and this is the person now. */
  settle(handle: PersonHandle, count: number, person: Person | undefined): void {
    handle.pending -= count;
    handle.actor.tell({ kind: 'confirmed', person });
    if (handle.pending === 0) {
      this.#active.delete(handle.uuid);
      this.#rest(handle, person);
    }
    for (const proceed of handle.waitingForRoom) proceed();
    handle.waitingForRoom.clear();
  }

  /** Its actor has given everything back: the person is read again when it is needed. */
  drop(handle: PersonHandle): void {
    this.#active.delete(handle.uuid);
    handle.actor.stop();
    for (const proceed of handle.waitingForRoom) proceed();
    handle.waitingForRoom.clear();
  }

  #wake(uuid: PersonUuid): PersonHandle {
    const handle = this.#idle.get(uuid);
    invariant(handle !== undefined, `person ${uuid} was routed to before it was read`);
    this.#idle.delete(uuid);
    this.#active.set(uuid, handle);
    return handle;
  }

  #rest(handle: PersonHandle, person: Person | undefined): void {
    if (person && person !== handle.measured) {
      handle.measured = person;
      handle.bytes = ACTOR_OVERHEAD_BYTES + jsonChars(person.properties) * BYTES_PER_JSON_CHAR;
    }
    this.#idle.set(handle.uuid, handle, { size: handle.bytes });
    // Larger than the whole cache: not taken.
    if (!this.#idle.has(handle.uuid)) handle.actor.stop();
  }
}

/** About as many characters as the JSON text has, without making it. */
function jsonChars(value: unknown): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 8;
  let chars = 2;
  for (const [key, member] of Object.entries(value)) chars += key.length + 4 + jsonChars(member);
  return chars;
}
