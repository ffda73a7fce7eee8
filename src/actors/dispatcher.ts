/**
 * Decides, in log order, whose each event is, and puts the events of one poll into their persons' mailboxes, one
 * slice for each. Reads what it does not know first, for a whole poll at once: no other reads happen on the way.
 *
 * Modes: idle       nothing waits
 *        reading   ids of the next events are being looked up
 *        redoing   unsaved work is being taken back; nothing is dispatched until it is
 *        closed     the session is over
 * Moves: idle → reading → idle, redoing · idle → redoing → reading, idle · any → closed
 */
import type { DerivePersonUuid, PersonUuid } from '../event/ids.ts';
import { wantsProfile } from '../person/stages/profile.ts';
import type { Found, Identity } from '../storage/person-store.ts';
import { type Entry, inLogOrder, type Routed } from './entry.ts';
import { type Belief, type Identities, identityKey } from './identities.ts';
import { Lifecycle, type Moves } from './lifecycle.ts';
import type { PersonHandle, Persons } from './persons.ts';

type Mode = 'idle' | 'reading' | 'redoing' | 'closed';
const MOVES: Moves<Mode> = {
  idle: ['reading', 'redoing', 'closed'],
  reading: ['idle', 'redoing', 'closed'],
  redoing: ['idle', 'closed'],
  closed: [],
};

export interface DispatcherOptions {
  readonly identities: Identities;
  readonly persons: Persons;
  readonly derivePersonUuid: DerivePersonUuid;
  readonly findByIds: (ids: readonly Identity[]) => Promise<readonly Found[]>;
  /** Entries of one round. */
  readonly entriesMax: number;
  readonly onDelivered: (handle: PersonHandle, entries: readonly Entry[]) => void;
  readonly onFailure: (error: unknown) => void;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #life = new Lifecycle<Mode>('dispatcher', MOVES, 'idle');
  #queue: Entry[] = [];
  /** Read for the next round: the cache may be too small to keep it until then. */
  readonly #learned = new Map<string, Belief>();
  /** Persons whose unsaved work is being taken back. */
  #surrendering = 0;
  #taken: Entry[] = [];
  #onIdle: (() => void)[] = [];

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Entries of one partition, in offset order. */
  submit(entries: readonly Entry[]): void {
    if (entries.length === 0 || this.#life.is('closed')) return;
    for (const entry of entries) this.#queue.push(entry);
    void this.#run();
  }

  /** Takes back everything unsaved of these persons, and decides it again from what Postgres says. */
  redo(handles: readonly PersonHandle[]): void {
    this.#surrendering += handles.length;
    this.#learned.clear();
    const { identities, persons } = this.#options;
    for (const handle of handles) {
      const give = (entries: readonly Entry[]) => {
        if (this.#life.is('closed')) return;
        this.#taken.push(...entries);
        for (const { event } of entries) identities.forget(event);
        persons.drop(handle);
        this.#surrendering -= 1;
        if (this.#surrendering > 0) return;
        this.#queue = [...this.#taken.toSorted(inLogOrder), ...this.#queue];
        this.#taken = [];
        if (this.#life.is('redoing')) this.#life.move('idle');
        void this.#run();
      };
      handle.actor.tell({ kind: 'surrender', give });
    }
    if (this.#life.is('idle')) this.#life.move('redoing');
  }

  /** Resolves once everything submitted is in a mailbox, or the dispatcher is closed. */
  drained(): Promise<void> {
    if (this.#life.is('closed') || (this.#life.is('idle') && this.#queue.length === 0))
      return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  close(): void {
    if (!this.#life.is('closed')) this.#life.move('closed');
    this.#queue = [];
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  async #run(): Promise<void> {
    if (!this.#life.is('idle') || this.#surrendering > 0) return;
    this.#life.move('reading');
    while (this.#queue.length > 0) {
      const round = this.#queue.slice(0, this.#options.entriesMax);
      const unknown = this.#unknown(round);
      if (unknown.length > 0) {
        try {
          this.#learn(unknown, await this.#options.findByIds(unknown));
        } catch (error) {
          if (!this.#life.is('closed')) this.#options.onFailure(error);
          return;
        }
        if (this.#life.is('closed')) return;
        if (this.#surrendering > 0) {
          this.#life.move('redoing');
          return;
        }
        // While it was read, a save may have pushed a person out of the cache: look again.
        continue;
      }
      this.#queue.splice(0, round.length);
      this.#dispatch(round);
      this.#learned.clear();
    }
    this.#life.move('idle');
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Ids whose person, or whose person's state, is not in memory. */
  #unknown(round: readonly Entry[]): Identity[] {
    const { persons } = this.#options;
    const unknown = new Map<string, Identity>();
    for (const { event } of round) {
      const belief = this.#resolve(event);
      if (belief === undefined || (belief.kind === 'person' && !persons.has(belief.uuid))) {
        unknown.set(identityKey(event), { teamId: event.teamId, distinctId: event.distinctId });
      }
    }
    return [...unknown.values()];
  }

  #resolve(identity: Identity): Belief | undefined {
    return this.#options.identities.resolve(identity) ?? this.#learned.get(identityKey(identity));
  }

  #learn(asked: readonly Identity[], found: readonly Found[]): void {
    const { identities, persons } = this.#options;
    const byId = new Map(found.map((one) => [identityKey(one), one.person]));
    for (const identity of asked) {
      const key = identityKey(identity);
      const person = byId.get(key);
      this.#learned.set(key, identities.learn(identity, person?.uuid));
      if (person) persons.activate(identity.teamId, person.uuid, person);
    }
  }

  #dispatch(round: readonly Entry[]): void {
    const { persons, onDelivered } = this.#options;
    const slices = new Map<PersonUuid, { routed: Routed[]; entries: Entry[] }>();
    for (const entry of round) {
      const { uuid, routed } = this.#route(entry);
      const slice = slices.get(uuid);
      if (slice) {
        slice.routed.push(routed);
        slice.entries.push(entry);
      } else {
        persons.activate(entry.event.teamId, uuid, undefined);
        slices.set(uuid, { routed: [routed], entries: [entry] });
      }
    }
    for (const [uuid, { routed, entries }] of slices) onDelivered(persons.deliver(uuid, routed), entries);
  }

  #route(entry: Entry): { uuid: PersonUuid; routed: Routed } {
    const { identities, derivePersonUuid } = this.#options;
    const { event, project, repeat } = entry;
    const belief = this.#resolve(event);
    if (belief?.kind === 'person') return { uuid: belief.uuid, routed: { entry, claim: 'known' } };
    const uuid = derivePersonUuid(event.teamId, event.distinctId);
    if (repeat || !wantsProfile(event, project)) return { uuid, routed: { entry, claim: 'none' } };
    identities.decide(event, uuid);
    return { uuid, routed: { entry, claim: 'new' } };
  }
}
