/**
 * Decides when what waits at the persons is saved, and carries the saves out: one at a time, due by count, bytes or
 * linger. Postgres confirms or breaks what the dispatcher believed; rows are made from the confirmed state.
 *
 * Modes: idle      nothing waits
 *        waiting   something waits for company, until the linger is over
 *        blocked   a save is due, but the outbox is full
 *        gathering the persons fold and hand over
 *        saving    one transaction is under way
 *        closed    the session is over
 * Moves: idle → waiting → gathering, blocked → gathering → saving → idle, waiting; any → closed
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Folded, FoldOutcome } from '../person/fold.ts';
import { DataRefusedError, type Mapping, type PersonWork, type Saved } from '../storage/person-store.ts';
import type { Routed } from './entry.ts';
import { invariant, Lifecycle, type Moves } from './lifecycle.ts';
import type { Folding } from './person-actor.ts';
import { personWork } from './person-work.ts';
import type { PersonHandle } from './persons.ts';

type Mode = 'idle' | 'waiting' | 'blocked' | 'gathering' | 'saving' | 'closed';
const MOVES: Moves<Mode> = {
  idle: ['waiting', 'closed'],
  waiting: ['gathering', 'blocked', 'closed'],
  blocked: ['gathering', 'closed'],
  gathering: ['saving', 'closed'],
  saving: ['idle', 'waiting', 'closed'],
  closed: [],
};

/** One person's events after a save. */
export interface Flushed {
  readonly handle: PersonHandle;
  readonly routed: readonly Routed[];
  readonly folded: Folded;
  /** Ids that this save gave to the person. */
  readonly newIds: readonly Mapping[];
}

export interface FlusherOptions {
  readonly clock: Clock;
  readonly eventsMax: number;
  readonly bytesMax: number;
  readonly lingerMs: number;
  readonly save: (works: readonly PersonWork[]) => Promise<readonly Saved[]>;
  /** Calls back, once, when the outbox has room for another batch. */
  readonly whenRoom: (proceed: () => void) => void;
  /** In the order of the saves. */
  readonly onSaved: (flushed: readonly Flushed[]) => void;
  /** What was believed of these persons is wrong: their unsaved work has to be redone. */
  readonly onBroken: (handles: readonly PersonHandle[]) => void;
  /** A save failed, or its outcome is unknown: replay. */
  readonly onFailure: (error: unknown) => void;
}

type Result =
  | { readonly kind: 'saved'; readonly folded: Folded; readonly newIds: readonly Mapping[] }
  | { readonly kind: 'broken' };

export class Flusher {
  readonly #options: FlusherOptions;
  readonly #life = new Lifecycle<Mode>('flusher', MOVES, 'idle');
  /** Persons with events that no save has taken yet. */
  readonly #dirty = new Set<PersonHandle>();
  #events = 0;
  #bytes = 0;
  #cancelLinger: Cancel | undefined;
  #onIdle: (() => void)[] = [];

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /** Events were delivered to this person. */
  note(handle: PersonHandle, events: number, bytes: number): void {
    this.#dirty.add(handle);
    this.#events += events;
    this.#bytes += bytes;
    if (this.#life.is('idle')) this.#wait();
    else if (this.#life.is('waiting') && this.#isFull) this.#due();
  }

  /** Its events go back to the dispatcher. */
  forget(handle: PersonHandle): void {
    this.#dirty.delete(handle);
  }

  /** Resolves once nothing waits any more, or the flusher is closed. */
  drained(): Promise<void> {
    if (this.#life.is('idle', 'closed')) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  close(): void {
    if (!this.#life.is('closed')) this.#life.move('closed');
    this.#cancelLinger?.();
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  get #isFull(): boolean {
    return this.#events >= this.#options.eventsMax || this.#bytes >= this.#options.bytesMax;
  }

  #wait(): void {
    this.#life.move('waiting');
    if (this.#isFull) this.#due();
    else this.#cancelLinger = this.#options.clock.after(this.#options.lingerMs, () => this.#due());
  }

  #due(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    if (!this.#life.is('waiting')) return;
    this.#life.move('blocked');
    this.#options.whenRoom(() => {
      if (this.#life.is('blocked')) this.#gather();
    });
  }

  /** Every dirty person folds what waits at it; the last one to hand over starts the save. */
  #gather(): void {
    this.#life.move('gathering');
    const handles = [...this.#dirty];
    this.#dirty.clear();
    this.#events = 0;
    this.#bytes = 0;
    const foldings: { handle: PersonHandle; folding: Folding }[] = [];
    for (const handle of handles) {
      handle.actor.tell({
        kind: 'fold',
        offer: (folding) => {
          foldings.push({ handle, folding });
          if (foldings.length === handles.length && this.#life.is('gathering')) void this.#save(foldings);
        },
      });
    }
    if (handles.length === 0) void this.#save([]);
  }

  async #save(foldings: readonly { handle: PersonHandle; folding: Folding }[]): Promise<void> {
    this.#life.move('saving');
    let results: readonly Result[];
    try {
      results = await this.#saveAll(foldings.map(({ folding }) => folding));
    } catch (error) {
      if (!this.#life.is('closed')) this.#options.onFailure(error);
      return;
    }
    if (this.#life.is('closed')) return;

    const flushed: Flushed[] = [];
    const broken: PersonHandle[] = [];
    foldings.forEach(({ handle, folding }, index) => {
      const result = results[index];
      invariant(result !== undefined, 'a save answers for each work');
      if (result.kind === 'broken') {
        this.#dirty.delete(handle);
        broken.push(handle);
      } else flushed.push({ handle, routed: folding.routed, folded: result.folded, newIds: result.newIds });
    });
    this.#options.onSaved(flushed);
    if (broken.length > 0) this.#options.onBroken(broken);

    if (this.#dirty.size > 0) this.#wait();
    else {
      this.#life.move('idle');
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }

  /** Data that Postgres refuses is narrowed down to its person, then to its event. */
  async #saveAll(foldings: readonly Folding[]): Promise<readonly Result[]> {
    const works = foldings.map(({ work }) => work);
    // Where nothing hangs on a person's state there is nothing to check, to write or to fold twice.
    if (works.every(({ checked }) => !checked)) return works.map(asBelieved);
    try {
      const saved = await this.#options.save(works);
      return saved.map((one, index) => {
        const newIds = works[index]?.newIds ?? [];
        return one.kind === 'saved' ? { kind: 'saved', folded: one.folded, newIds } : one;
      });
    } catch (error) {
      if (!(error instanceof DataRefusedError)) throw error;
      const [only] = foldings;
      if (only && foldings.length === 1) return [await this.#saveOneByOne(only, error)];
      const middle = foldings.length >> 1;
      return [
        ...(await this.#saveAll(foldings.slice(0, middle))),
        ...(await this.#saveAll(foldings.slice(middle))),
      ];
    }
  }

  async #saveOneByOne({ routed, work }: Folding, refused: DataRefusedError): Promise<Result> {
    const outcomes: FoldOutcome[] = [];
    let person = work.base;
    let missing = work.newIds;
    for (const one of routed) {
      const ids = missing.filter(({ distinctId }) => distinctId === one.entry.event.distinctId);
      const own = personWork(work, person, [one], ids);
      const [result] = await this.#saveEvent(own, routed.length, refused);
      invariant(result !== undefined, 'a save answers for each work');
      if (result === 'refused') {
        const message = refused.message;
        outcomes.push({ kind: 'failed', reason: 'refused_by_postgres', stage: 'save', message });
        continue;
      }
      // What was saved of this person so far must not be dispatched again: replay knows what was folded.
      if (result.kind === 'broken') throw new Error('a belief broke while refused data was being set apart');
      missing = missing.filter((id) => !own.newIds.includes(id));
      person = result.folded.person;
      outcomes.push(...result.folded.outcomes);
    }
    const changed = person !== work.base;
    return {
      kind: 'saved',
      folded: { person, changed, outcomes },
      newIds: work.newIds.filter((id) => !missing.includes(id)),
    };
  }

  async #saveEvent(
    work: PersonWork,
    eventCount: number,
    refused: DataRefusedError,
  ): Promise<readonly (Saved | 'refused')[]> {
    // The only event of its person has just been refused; asking again would give the same answer.
    if (eventCount === 1) return ['refused'];
    try {
      return await this.#options.save([work]);
    } catch (error) {
      if (!(error instanceof DataRefusedError)) throw error;
      refused.message = error.message;
      return ['refused'];
    }
  }
}

const asBelieved = (work: PersonWork): Result => ({
  kind: 'saved',
  folded: work.folded,
  newIds: work.newIds,
});
