/**
 * Decides, in log order, whose each event is, and puts the events of one poll into their persons' mailboxes, one
 * slice for each. Reads what it does not know first, for a whole poll at once: no other reads happen on the way.
 *
 * Modes: idle       nothing waits
 *        reading   what the next events need is being looked up
 *        redoing   unsaved work is being taken back; nothing is dispatched until it is
 *        closed     the session is over
 * Moves: idle → reading → idle, redoing · idle → redoing → reading, idle · any → closed
 */
import type { DerivePersonUuid, PersonUuid } from '../event/ids.ts';
import { isHoldable } from '../person/hold-rule.ts';
import { mergeRequest } from '../person/merge.ts';
import { wantsProfile } from '../person/stages/profile.ts';
import type { Found, Identity, PersonStore } from '../storage/person-store.ts';
import { type Entry, inLogOrder, type Reached, type Routed } from './entry.ts';
import type { Groups } from './groups.ts';
import { Held } from './held.ts';
import type { Hold } from './hold.ts';
import { type Belief, type Identities, identityKey } from './identities.ts';
import { Lifecycle, type Moves } from './lifecycle.ts';
import type { IdBelief } from './person-actor.ts';
import { leaderOf, type PersonHandle, type Persons } from './persons.ts';

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
  readonly groups: Groups;
  readonly hold: Hold;
  readonly derivePersonUuid: DerivePersonUuid;
  readonly store: Pick<PersonStore, 'findByIds' | 'groupTypes' | 'findGroups'>;
  /** Entries of one round. */
  readonly entriesMax: number;
  readonly onDelivered: (handle: PersonHandle, entries: readonly Entry[]) => void;
  /** The second one's actor takes over what the first one's has. */
  readonly onJoined: (source: PersonHandle, target: PersonHandle) => void;
  /** Its unsaved work is being taken back. */
  readonly onRedo: (handle: PersonHandle) => void;
  readonly onFailure: (error: unknown) => void;
}

type Item = Entry | Held | Reached;

/** What one person's mailbox gets from a round. */
interface Slice {
  readonly routed: Routed[];
  readonly beliefs: IdBelief[];
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #life = new Lifecycle<Mode>('dispatcher', MOVES, 'idle');
  #queue: Item[] = [];
  /** Read for the next round: the cache may be too small to keep it until then. */
  readonly #learned = new Map<string, Belief>();
  readonly #slices = new Map<PersonHandle, Slice>();
  /** Persons whose unsaved work is being taken back. */
  readonly #surrendering = new Set<PersonHandle>();
  #taken: Entry[] = [];
  #isDispatching = false;
  /** Came back from the hold while a round was being dispatched. */
  #resumed: Held[] = [];
  #onIdle: (() => void)[] = [];

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Entries of one partition, in offset order, and how far they bring it. */
  submit(entries: readonly Entry[], reached: Reached): void {
    this.#push([...entries, reached]);
  }

  /** Held events whose time is over: before whatever waits, or events of their ids would overtake them. */
  resume(events: readonly Held[]): void {
    if (this.#life.is('closed')) return;
    if (this.#isDispatching) this.#resumed.push(...events);
    else this.#queue = [...events, ...this.#queue];
    void this.#run();
  }

  /** Takes back everything unsaved that is joined with these persons, and decides it again from what Postgres says. */
  redo(handles: readonly PersonHandle[]): void {
    this.#forgetLearned();
    for (const handle of handles) {
      const leader = leaderOf(handle);
      if (this.#surrendering.has(leader)) continue;
      this.#surrendering.add(leader);
      this.#options.onRedo(leader);
      leader.actor.tell({ kind: 'surrender', give: (routed) => this.#takeBack(leader, routed) });
    }
    if (this.#life.is('idle') && this.#surrendering.size > 0) this.#life.move('redoing');
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

  #push(items: readonly Item[]): void {
    if (this.#life.is('closed')) return;
    for (const item of items) this.#queue.push(item);
    void this.#run();
  }

  #forgetLearned(): void {
    this.#learned.clear();
    this.#options.groups.forgetLearned();
  }

  #takeBack(leader: PersonHandle, routed: readonly Routed[]): void {
    if (this.#life.is('closed')) return;
    const { identities, groups, persons } = this.#options;
    for (const { entry, ids, groups: resolved } of routed) {
      this.#taken.push(entry);
      for (const distinctId of ids) identities.forget({ teamId: leader.teamId, distinctId });
      if (resolved.change) groups.forget(resolved.change);
    }
    persons.drop(leader);
    this.#surrendering.delete(leader);
    if (this.#surrendering.size > 0) return;
    this.#queue = [...this.#taken.toSorted(inLogOrder), ...this.#queue];
    this.#taken = [];
    if (this.#life.is('redoing')) this.#life.move('idle');
    void this.#run();
  }

  async #run(): Promise<void> {
    if (!this.#life.is('idle') || this.#surrendering.size > 0) return;
    this.#life.move('reading');
    while (this.#queue.length > 0) {
      const round = this.#nextRound();
      try {
        const reading = this.#read(round);
        if (reading !== undefined) {
          await reading;
          if (this.#life.is('closed')) return;
          if (this.#surrendering.size > 0) {
            this.#life.move('redoing');
            return;
          }
          // While it was read, a save may have pushed a person out of the cache: look again.
          continue;
        }
      } catch (error) {
        if (!this.#life.is('closed')) this.#options.onFailure(error);
        return;
      }
      this.#isDispatching = true;
      const rest = this.#dispatch(round);
      this.#isDispatching = false;
      this.#queue.splice(0, round.length);
      if (rest.length === 0) this.#forgetLearned();
      else this.#queue = [...rest, ...this.#queue];
    }
    this.#life.move('idle');
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #nextRound(): (Entry | Reached)[] {
    const round = this.#queue.slice(0, this.#options.entriesMax).map(opened);
    // Opened once, although it may have to wait for what is being read.
    for (const [index, item] of round.entries()) this.#queue[index] = item;
    return round;
  }

  /** Asks for what the round needs and is not in memory. `undefined`: everything is. */
  #read(round: readonly (Entry | Reached)[]): Promise<unknown> | undefined {
    const { store, groups } = this.#options;
    const entries = round.filter(isEntry);
    const ids = this.#unknown(entries);
    const missing = groups.missing(entries.map(({ event }) => event));
    if (ids.length === 0 && missing === undefined) return undefined;
    return Promise.all([
      ids.length > 0 ? store.findByIds(ids).then((found) => this.#learn(ids, found)) : undefined,
      missing && missing.types.length > 0
        ? store.groupTypes(missing.types).then((types) => groups.learnTypes(types))
        : undefined,
      missing && missing.groups.length > 0
        ? store.findGroups(missing.groups).then((found) => groups.learnGroups(missing.groups, found))
        : undefined,
    ]);
  }

  /** Ids whose person, or whose person's state, is not in memory. */
  #unknown(entries: readonly Entry[]): Identity[] {
    const { persons } = this.#options;
    const unknown = new Map<string, Identity>();
    for (const entry of entries) {
      for (const identity of [identityOf(entry), otherIdOf(entry)]) {
        if (identity === undefined) continue;
        const belief = this.#resolve(identity);
        if (belief === undefined || (belief.kind === 'person' && !persons.has(belief.uuid)))
          unknown.set(identityKey(identity), identity);
      }
    }
    return [...unknown.values()];
  }

  #resolve(identity: Identity): Belief | undefined {
    return this.#options.identities.resolve(identity) ?? this.#learned.get(identityKey(identity));
  }

  #learn(asked: readonly Identity[], found: readonly Found[]): void {
    if (this.#life.is('closed')) return;
    const { identities, persons } = this.#options;
    const byId = new Map(found.map((one) => [identityKey(one), one.person]));
    for (const identity of asked) {
      const key = identityKey(identity);
      const person = byId.get(key);
      this.#learned.set(key, identities.learn(identity, person?.uuid));
      if (person) persons.activate(identity.teamId, person.uuid, person);
    }
  }

  /** Gives what is still to be dispatched: held events may have to go in between. */
  #dispatch(round: readonly (Entry | Reached)[]): readonly Item[] {
    let rest: readonly Item[] = [];
    for (const [index, item] of round.entries()) {
      const next = this.#dispatchOne(item);
      if (next.length === 0 && this.#resumed.length === 0) continue;
      rest = [...this.#resumed, ...next, ...round.slice(index + 1)];
      this.#resumed = [];
      break;
    }
    for (const handle of [...this.#slices.keys()]) this.#deliver(handle);
    return rest;
  }

  /** Gives what comes next, if that is not the next of the round. */
  #dispatchOne(item: Entry | Reached): readonly Item[] {
    const { hold } = this.#options;
    if (!isEntry(item)) {
      hold.reached(item);
      return NONE;
    }
    const held = this.#heldWith(item);
    if (held.length > 0) return [...held, item].toSorted(inLogOrder);
    if (!this.#isHeld(item)) return this.#route(item);
    hold.add(item);
    return NONE;
  }

  /** Held events of the same id that go on with this one: somebody has a person for it, or its time is over. */
  #heldWith({ event, released }: Entry): readonly Held[] {
    const { hold } = this.#options;
    if (!hold.has(event)) return NONE;
    if (this.#resolve(event)?.kind === 'person') return hold.take(event, 'person', undefined);
    return released ? hold.take(event, 'time', undefined) : NONE;
  }

  #isHeld({ event, project, repeat, released }: Entry): boolean {
    if (!this.#options.hold.isOn || repeat || released) return false;
    return this.#resolve(event)?.kind !== 'person' && isHoldable(event, project);
  }

  /** Puts the event into its person's slice. Gives held events that go right after it. */
  #route(entry: Entry): readonly Held[] {
    const { derivePersonUuid, persons, groups, hold } = this.#options;
    const { event, project, repeat } = entry;
    const wants = !repeat && wantsProfile(event, project);
    const own = identityOf(entry);
    const other = otherIdOf(entry);
    const ownUuid = uuidIn(this.#resolve(own));
    const otherUuid = other && uuidIn(this.#resolve(other));
    const uuid = ownUuid ?? otherUuid ?? derivePersonUuid(event.teamId, (other ?? own).distinctId);
    const handle = persons.activate(event.teamId, uuid, undefined);
    if (ownUuid !== undefined && otherUuid !== undefined && otherUuid !== ownUuid) {
      this.#join(persons.activate(event.teamId, otherUuid, undefined), handle);
    }
    if (other) this.#gather(handle, own, ownUuid);
    if (other) this.#gather(handle, other, otherUuid);
    const slice = this.#slice(handle);
    const standsOn: readonly Identity[] =
      wants || ownUuid !== undefined ? (other ? [own, other] : [own]) : [];
    for (const identity of standsOn) this.#pin(slice, identity, uuid);
    slice.routed.push({
      entry,
      personUuid: uuid,
      groups: groups.resolve(event, wantsProfile(event, project), repeat),
      ids: standsOn.map(({ distinctId }) => distinctId),
    });
    if (!wants || hold.idCount === 0) return NONE;
    return standsOn.flatMap((identity) => hold.take(identity, 'person', entry));
  }

  /** Events of an id without a person wait where that person would be: they go before those that follow. */
  #gather(handle: PersonHandle, { teamId, distinctId }: Identity, uuid: PersonUuid | undefined): void {
    const { derivePersonUuid, persons } = this.#options;
    const lone = uuid === undefined ? persons.activeOf(derivePersonUuid(teamId, distinctId)) : undefined;
    if (lone) this.#join(lone, handle);
  }

  #pin(slice: Slice, identity: Identity, uuid: PersonUuid): void {
    const before = uuidIn(this.#resolve(identity));
    if (this.#options.identities.pin(identity, before ?? uuid))
      slice.beliefs.push([identity.distinctId, before]);
  }

  #slice(handle: PersonHandle): Slice {
    let slice = this.#slices.get(handle);
    if (slice === undefined) {
      slice = { routed: [], beliefs: [] };
      this.#slices.set(handle, slice);
    }
    return slice;
  }

  /** What was dispatched to either of them before comes first. */
  #join(source: PersonHandle, target: PersonHandle): void {
    if (source === target) return;
    this.#deliver(source);
    this.#deliver(target);
    this.#options.persons.join(source, target);
    this.#options.onJoined(source, target);
  }

  #deliver(handle: PersonHandle): void {
    const slice = this.#slices.get(handle);
    if (slice === undefined) return;
    this.#slices.delete(handle);
    this.#options.persons.deliver(handle, slice.routed, slice.beliefs);
    this.#options.onDelivered(
      handle,
      slice.routed.map(({ entry }) => entry),
    );
  }
}

/** The id that the event joins with its own. */
function otherIdOf({ event, project, repeat }: Entry): Identity | undefined {
  if (repeat || !wantsProfile(event, project)) return undefined;
  const request = mergeRequest(event);
  if (request === undefined || request.illegalId !== undefined) return undefined;
  return { teamId: event.teamId, distinctId: request.otherId };
}

const identityOf = ({ event: { teamId, distinctId } }: Entry): Identity => ({ teamId, distinctId });

const NONE: readonly Held[] = [];

const uuidIn = (belief: Belief | undefined) => (belief?.kind === 'person' ? belief.uuid : undefined);

const opened = (item: Item): Entry | Reached => (item instanceof Held ? item.open() : item);

const isEntry = (item: Entry | Reached): item is Entry => 'event' in item;
