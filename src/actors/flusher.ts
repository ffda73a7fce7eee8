/**
 * Decides when what waits at the persons is saved, and carries the saves out: one at a time, due by count, bytes or
 * linger. Postgres confirms or breaks what the dispatcher believed; rows are made from the confirmed state.
 *
 * Modes: idle      nothing waits
 *        waiting   something waits for company, until the linger is over
 *        blocked   a save is due, but the outbox is full
 *        gathering the persons hand over, and what they hand over is folded
 *        saving    one transaction is under way, or what it gave is being settled
 *        closed    the session is over
 * Moves: idle → waiting → blocked → gathering → saving → idle, waiting; any → closed
 */
import type { Cancel, Clock } from '../clock.ts';
import type { PersonWork, Saved } from '../storage/person-store.ts';
import { Waiting } from './drain.ts';
import type { Routed } from './entry.ts';
import { InvariantError, invariant, Lifecycle, type Moves } from './lifecycle.ts';
import type { Folding } from './person-actor.ts';
import { leaderOf, type PersonHandle } from './persons.ts';
import { type FoldedPart, type SavedPart, saveAll } from './save-all.ts';
import { Turn } from './turn.ts';

type Mode = 'idle' | 'waiting' | 'blocked' | 'gathering' | 'saving' | 'closed';
const MOVES: Moves<Mode> = {
  idle: ['waiting', 'closed'],
  waiting: ['blocked', 'closed'],
  blocked: ['gathering', 'closed'],
  gathering: ['saving', 'closed'],
  saving: ['idle', 'waiting', 'closed'],
  closed: [],
};

/** The events of one actor after a save. */
export interface Flushed {
  readonly handle: PersonHandle;
  readonly routed: readonly Routed[];
  readonly saved: SavedPart;
}

interface FoldedOf extends FoldedPart {
  readonly handle: PersonHandle;
}

export interface FlusherOptions {
  readonly clock: Clock;
  readonly eventsMax: number;
  readonly bytesMax: number;
  /** Events that are folded in one turn of the event loop. */
  readonly turnEventsMax: number;
  /** Folds a person's events, for when a save has to be taken apart. */
  readonly foldAgain: (
    part: FoldedPart,
    believed: PersonWork['believed'],
    routed: readonly Routed[],
  ) => PersonWork;
  readonly lingerMs: number;
  readonly save: (works: readonly PersonWork[]) => Promise<readonly Saved[]>;
  /** Calls back, once, when the outbox has room for another batch. */
  readonly whenRoom: (proceed: () => void) => void;
  /** In the order of the saves; the next one begins once it is done. */
  readonly onSaved: (flushed: readonly Flushed[]) => Promise<void>;
  /** What was believed of these persons is wrong: their unsaved work has to be redone. */
  readonly onBroken: (handles: readonly PersonHandle[]) => void;
  /** A save failed, or its outcome is unknown: replay. */
  readonly onFailure: (error: unknown) => void;
}

export class Flusher {
  readonly #options: FlusherOptions;
  readonly #life = new Lifecycle<Mode>('flusher', MOVES, 'idle');
  /** Persons with events that no save has taken yet. */
  readonly #dirty = new Set<PersonHandle>();
  #events = 0;
  #bytes = 0;
  /** Since when the one that has waited for the longest does, by the monotonic clock. */
  #sinceMs = 0;
  #cancelLinger: Cancel | undefined;
  readonly #waiting = new Waiting();

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /** Events were delivered to this person. */
  note(handle: PersonHandle, events: number, bytes: number): void {
    if (this.#dirty.size === 0) this.#sinceMs = this.#options.clock.monotonic();
    this.#dirty.add(handle);
    this.#events += events;
    this.#bytes += bytes;
    if (this.#life.is('idle')) this.#wait();
    else if (this.#life.is('waiting') && this.#isFull) this.#due();
  }

  /** The second one's actor folds for both. */
  joined(source: PersonHandle, target: PersonHandle): void {
    if (this.#dirty.delete(source)) this.#dirty.add(target);
  }

  /** Its events go back to the dispatcher. */
  forget(handle: PersonHandle): void {
    this.#dirty.delete(handle);
  }

  /** No event waits for a save, or is in one. */
  get isIdle(): boolean {
    return this.#life.is('idle', 'closed');
  }

  /** Resolves once nothing waits any more, or the flusher is closed. */
  drained(): Promise<void> {
    return this.#waiting.until(this.isIdle);
  }

  close(): void {
    if (!this.#life.is('closed')) this.#life.move('closed');
    this.#cancelLinger?.();
    this.#waiting.end();
  }

  get #isFull(): boolean {
    return this.#events >= this.#options.eventsMax || this.#bytes >= this.#options.bytesMax;
  }

  #wait(): void {
    const { clock, lingerMs } = this.#options;
    this.#life.move('waiting');
    // What came while a save was under way has waited for company by then. Never at once: this turn of the event loop has
    // settled a save, or dispatched what fills one.
    const leftMs = this.#isFull ? 0 : this.#sinceMs + lingerMs - clock.monotonic();
    this.#cancelLinger = clock.after(Math.max(0, leftMs), () => this.#due());
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

  /** Every dirty person hands over what waits at it; the last one starts the folds. */
  #gather(): void {
    this.#life.move('gathering');
    const handles = this.#takeDirty();
    const foldings: { handle: PersonHandle; folding: Folding }[] = [];
    for (const handle of handles) {
      handle.actor.tell({
        kind: 'fold',
        eventsMax: this.#options.eventsMax,
        offer: (folding) => {
          foldings.push({ handle, folding });
          if (folding.left > 0) this.#dirty.add(leaderOf(handle));
          if (foldings.length === handles.length && this.#life.is('gathering')) void this.#fold(foldings);
        },
      });
    }
    if (handles.length === 0) void this.#save([]);
  }

  /** Those that have waited for the longest, as far as one save goes. */
  #takeDirty(): readonly PersonHandle[] {
    const handles: PersonHandle[] = [];
    let events = 0;
    for (const handle of this.#dirty) {
      if (events >= this.#options.eventsMax) break;
      this.#dirty.delete(handle);
      handles.push(handle);
      events += handle.pending;
    }
    this.#events = Math.max(0, this.#events - events);
    if (this.#dirty.size === 0) this.#bytes = 0;
    return handles;
  }

  /** A part in each turn: what else there is to do goes on in between. */
  async #fold(foldings: readonly { handle: PersonHandle; folding: Folding }[]): Promise<void> {
    const { clock, turnEventsMax, onFailure } = this.#options;
    const parts: FoldedOf[] = [];
    // This turn has brought all of them together.
    const turn = new Turn(clock, turnEventsMax, turnEventsMax);
    try {
      for (const { handle, folding } of foldings) {
        if (turn.isOver) await turn.next();
        if (this.#life.is('closed')) return;
        parts.push({ handle, routed: folding.routed, work: folding.fold() });
        turn.add(folding.routed.length);
      }
    } catch (cause) {
      // Whatever an event has in it: a fold does not throw.
      onFailure(new InvariantError(`a fold has failed: ${String(cause)}`, { cause }));
      return;
    }
    await this.#save(parts);
  }

  async #save(parts: readonly FoldedOf[]): Promise<void> {
    this.#life.move('saving');
    const { save, foldAgain, onSaved, onBroken, onFailure } = this.#options;
    let results: readonly Saved[];
    try {
      results = await saveAll(parts, save, foldAgain);
    } catch (error) {
      if (!this.#life.is('closed')) onFailure(error);
      return;
    }
    if (this.#life.is('closed')) return;

    const flushed: Flushed[] = [];
    const broken: PersonHandle[] = [];
    parts.forEach(({ handle, routed }, index) => {
      const saved = results[index];
      invariant(saved !== undefined, 'a save answers for each work');
      if (saved.kind === 'broken') {
        handle.actor.tell({ kind: 'broken' });
        broken.push(handle);
      } else flushed.push({ handle, routed, saved });
    });
    await onSaved(flushed);
    if (this.#life.is('closed')) return;
    if (broken.length > 0) onBroken(broken);

    if (this.#dirty.size > 0) this.#wait();
    else {
      this.#life.move('idle');
      this.#waiting.end();
    }
  }
}
