/**
 * Decides, in log order, whose each event is, and puts the events of one round into their persons' mailboxes, one
 * slice for each. Reads what it does not know first, for a whole round at once: no other reads happen on the way.
 *
 * Modes: idle       nothing waits
 *        reading   what the next events need is being looked up, or they have the next turn of the event loop
 *        redoing   unsaved work is being taken back; nothing is dispatched until it is
 *        closed     the session is over
 * Moves: idle → reading → idle, redoing · idle → redoing → reading, idle · any → closed
 */
import { type Clock, sleep } from '../clock.ts';
import { isHoldable } from '../person/hold-rule.ts';
import { Waiting } from './drain.ts';
import { type Entry, inLogOrder, type Reached, type Routed } from './entry.ts';
import type { Flushed } from './flusher.ts';
import type { Groups } from './groups.ts';
import { Held } from './held.ts';
import type { Hold } from './hold.ts';
import type { Identities } from './identities.ts';
import { invariant, Lifecycle, type Moves } from './lifecycle.ts';
import { Lookup, type LookupOptions } from './lookup.ts';
import { leaderOf, type PersonHandle, type Persons } from './persons.ts';
import { Router, type RouterOptions } from './router.ts';
import type { News } from './tail.ts';

type Mode = 'idle' | 'reading' | 'redoing' | 'closed';
const MOVES: Moves<Mode> = {
  idle: ['reading', 'redoing', 'closed'],
  reading: ['idle', 'redoing', 'closed'],
  redoing: ['idle', 'closed'],
  closed: [],
};

export interface DispatcherOptions extends LookupOptions, Omit<RouterOptions, 'lookup'> {
  readonly identities: Identities;
  readonly persons: Persons;
  readonly groups: Groups;
  readonly hold: Hold;
  readonly clock: Clock;
  /** Entries of one round, and of one turn of the event loop. */
  readonly entriesMax: number;
  /** Its unsaved work is being taken back. */
  readonly onRedo: (handle: PersonHandle) => void;
  readonly onFailure: (error: unknown) => void;
}

type Item = Entry | Held | Reached;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #life = new Lifecycle<Mode>('dispatcher', MOVES, 'idle');
  readonly #lookup: Lookup;
  readonly #router: Router;
  #queue: Item[] = [];
  /** Persons whose unsaved work is being taken back. */
  readonly #surrendering = new Set<PersonHandle>();
  #taken: Entry[] = [];
  /** Taken back and not dispatched again yet: until they are, nothing goes by time. */
  readonly #redone = new Set<Entry>();
  #isDispatching = false;
  /** Came back from the hold while a round was being dispatched. */
  #resumed: Held[] = [];
  readonly #waiting = new Waiting();

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#lookup = new Lookup(options);
    this.#router = new Router({ ...options, lookup: this.#lookup });
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
    this.#lookup.invalidate();
    this.#options.hold.halt();
    for (const handle of handles) {
      const leader = leaderOf(handle);
      if (this.#surrendering.has(leader)) continue;
      invariant(leader.pending > 0, 'only unsaved work is redone');
      this.#surrendering.add(leader);
      this.#options.onRedo(leader);
      leader.actor.tell({ kind: 'surrender', give: (routed) => this.#takeBack(leader, routed) });
    }
    if (this.#life.is('idle') && this.#surrendering.size > 0) this.#life.move('redoing');
  }

  /** These saves are settled. */
  saved(flushed: readonly Flushed[]): void {
    this.#lookup.saved(flushed);
  }

  /** The log tells what has changed, here or elsewhere. */
  hear(news: News): void {
    const { identities, persons, groups, hold } = this.#options;
    this.#lookup.hear(news);
    for (const one of news.persons) persons.hear(one);
    for (const one of news.groups) groups.hear(one);
    for (const one of news.ids) {
      identities.hear(one);
      hold.known(one);
    }
  }

  /**
   * A partition was taken: its former owner may have changed anything until then, and shown it on rows of ids that are ours
   * now. News of that may come late, so that nothing that is cached is believed any more.
   */
  distrust(): void {
    const { identities, persons, groups } = this.#options;
    this.#lookup.invalidate();
    identities.distrust();
    persons.distrust();
    groups.distrust();
  }

  /** Nothing waits here, and nothing is on its way back. */
  get isIdle(): boolean {
    return this.#life.is('closed') || (this.#life.is('idle') && this.#queue.length === 0);
  }

  /** Resolves once everything submitted is in a mailbox, or the dispatcher is closed. */
  drained(): Promise<void> {
    return this.#waiting.until(this.isIdle);
  }

  close(): void {
    if (!this.#life.is('closed')) this.#life.move('closed');
    this.#queue = [];
    this.#waiting.end();
  }

  #push(items: readonly Item[]): void {
    if (this.#life.is('closed')) return;
    for (const item of items) this.#queue.push(item);
    void this.#run();
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
    for (const entry of this.#taken) this.#redone.add(entry);
    this.#queue = [...this.#taken.toSorted(inLogOrder), ...this.#queue];
    this.#taken = [];
    if (this.#redone.size === 0) this.#options.hold.go();
    if (this.#life.is('redoing')) this.#life.move('idle');
    void this.#run();
  }

  async #run(): Promise<void> {
    if (!this.#life.is('idle') || this.#surrendering.size > 0) return;
    this.#life.move('reading');
    while (this.#queue.length > 0) {
      const round = this.#nextRound();
      try {
        const reading = this.#lookup.read(round.filter(isEntry));
        if (reading !== undefined) {
          await reading;
          if (!this.#goesOn()) return;
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
      if (rest.length === 0) this.#lookup.forget();
      else this.#queue = [...rest, ...this.#queue];
      if (this.#queue.length > 0) {
        await sleep(this.#options.clock, 0);
        if (!this.#goesOn()) return;
      }
    }
    this.#life.move('idle');
    this.#waiting.end();
  }

  /** After other things had their turn. */
  #goesOn(): boolean {
    if (this.#life.is('closed')) return false;
    if (this.#surrendering.size === 0) return true;
    this.#life.move('redoing');
    return false;
  }

  #nextRound(): (Entry | Reached)[] {
    const round = this.#queue.slice(0, this.#options.entriesMax).map(opened);
    // Opened once, although it may have to wait for what is being read.
    for (const [index, item] of round.entries()) this.#queue[index] = item;
    return round;
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
    this.#router.deliver();
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
    this.#settleRedo(item);
    if (!this.#isHeld(item)) return this.#route(item);
    hold.add(item);
    return NONE;
  }

  /** Gives held events whose ids this one gives a person. */
  #route(entry: Entry): readonly Held[] {
    const { hold } = this.#options;
    const ids = this.#router.route(entry);
    if (hold.idCount === 0 || ids.length === 0) return NONE;
    return ids.flatMap((identity) => hold.take(identity, 'person', entry)).toSorted(inLogOrder);
  }

  /** The last one that was taken back has been dispatched: what waits for time goes on. */
  #settleRedo(entry: Entry): void {
    if (this.#redone.size === 0 || !this.#redone.delete(entry)) return;
    if (this.#redone.size === 0 && this.#surrendering.size === 0) this.#options.hold.go();
  }

  /** Held events of the same id that go on with this one: somebody has a person for it, or its time is over. */
  #heldWith({ event, released }: Entry): readonly Held[] {
    const { hold } = this.#options;
    if (!hold.has(event)) return NONE;
    if (this.#lookup.resolve(event)?.kind === 'person') return hold.take(event, 'person', undefined);
    return released ? hold.take(event, 'time', undefined) : NONE;
  }

  #isHeld({ event, project, repeat, released }: Entry): boolean {
    if (!this.#options.hold.isOn || repeat || released) return false;
    return this.#lookup.resolve(event)?.kind !== 'person' && isHoldable(event, project);
  }
}

const NONE: readonly Held[] = [];

const opened = (item: Item): Entry | Reached => (item instanceof Held ? item.open() : item);

const isEntry = (item: Entry | Reached): item is Entry => 'event' in item;
