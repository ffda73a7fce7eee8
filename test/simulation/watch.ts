/** Counts the interesting moments while a history runs, from outside: what is on the wire, and what is durable. */
import { asDistinctId } from '../../src/event/ids.ts';
import type { LogRecord } from '../../src/storage/event-log.ts';
import { type FoldedRecord, isHoldable, sourceOf } from './follow.ts';
import type { HistoryEvent } from './history.ts';
import { outputsOf } from './outputs.ts';
import type { Process } from './process.ts';
import { type RivalMoment, Rivals } from './rivals.ts';
import { identityKey } from './sim-store.ts';
import { TEAM, type World } from './world.ts';

export type Moment =
  | RivalMoment
  | 'serialization failure'
  | 'deadlock'
  | 'partitions dealt anew'
  | 'frozen process'
  | 'process cut off from its group'
  | 'failover'
  | 'failover that lost a save'
  | 'crash inside a save'
  | 'crash after a save and before its rows'
  | 'crash after rows and before progress'
  | 'crash inside an insert into ClickHouse'
  | 'replay of a folded record'
  | 'held event released after a restart'
  | 'held event released after a backlog';

/** As long as it takes at most until a record that was delivered is held. */
const DISPATCH_MS = 20;

export class Watch {
  readonly #world: World;
  readonly #holdMs: number;
  readonly rivals: Rivals;
  readonly #counts = new Map<Moment, number>();
  /** By source. */
  readonly #events = new Map<string, HistoryEvent>();
  /** Of each process: sources, and when it got them (monotonic). */
  readonly #delivered = new Map<Process, Map<string, number>>();
  /** Sources that the witness has; it grows at its end. */
  readonly #folded = new Set<string>();
  #witnessed = 0;
  /** Sources that a process held when it ended. */
  readonly #orphans = new Set<string>();
  /** Sources whose hold was over before they were read. */
  readonly #late = new Set<string>();

  constructor(world: World, holdMs: number) {
    this.#world = world;
    this.#holdMs = holdMs;
    this.rivals = new Rivals(world, this);
    world.onDelivered = (process, records) => this.#onDelivered(process, records);
    world.onRolledBack = (how) => this.met(how);
    world.onSave = (process, works, save) => this.rivals.onSave(process, works, save);
  }

  sent(source: string, event: HistoryEvent): void {
    this.#events.set(source, event);
  }

  met(moment: Moment): void {
    this.#counts.set(moment, (this.#counts.get(moment) ?? 0) + 1);
  }

  /** Events that the process has read and nobody has folded. */
  unsaved(process: Process): readonly HistoryEvent[] {
    const events: HistoryEvent[] = [];
    for (const source of this.#delivered.get(process)?.keys() ?? []) {
      const event = this.#events.get(source);
      if (event?.fault === 'none' && !this.#isFolded(source)) events.push(event);
    }
    return events;
  }

  get processes(): Iterable<Process> {
    return this.#delivered.keys();
  }

  #onDelivered(process: Process, records: readonly LogRecord[]): void {
    const nowMs = this.#world.clock.monotonic();
    const own = this.#delivered.get(process) ?? new Map<string, number>();
    this.#delivered.set(process, own);
    for (const record of records) {
      const source = sourceOf(record);
      own.set(source, nowMs);
      const isFolded = this.#isFolded(source);
      if (isFolded && !this.#isFinished(record)) this.met('replay of a folded record');
      const event = this.#events.get(source);
      if (event === undefined || isFolded || !this.#waits(event)) continue;
      if (nowMs - event.atMs > this.#holdMs) this.#late.add(source);
    }
  }

  /** The process ends now: at once, or after it has finished what it can. */
  ended(process: Process, kind: 'crash' | 'stop'): void {
    this.rivals.interrupted(process);
    const nowMs = this.#world.clock.monotonic();
    const own = this.#delivered.get(process) ?? new Map<string, number>();
    for (const [source, atMs] of own) {
      const event = this.#events.get(source);
      if (event === undefined || this.#isFolded(source) || nowMs - atMs < DISPATCH_MS) continue;
      if (this.#waits(event)) this.#orphans.add(source);
    }
    if (kind === 'stop') return;
    if (process.hasSent('save')) this.met('crash inside a save');
    if (process.hasSent('insert')) this.met('crash inside an insert into ClickHouse');
    const { rows, deadLetters } = outputsOf(this.#world);
    const sent = new Set([...rows, ...deadLetters].map(({ source }) => source));
    const saved = [...own.keys()].filter((source) => this.#isFolded(source));
    if (saved.some((source) => !sent.has(source))) this.met('crash after a save and before its rows');
    if (saved.some((source) => sent.has(source) && !this.#isFinished(positionOf(source)))) {
      this.met('crash after rows and before progress');
    }
  }

  /** Once it is over. */
  counts(folded: ReadonlyMap<string, FoldedRecord>): ReadonlyMap<Moment, number> {
    for (const [source, { record, atMs }] of folded) {
      if (!isHoldable(record.event) || atMs <= record.event.atMs) continue;
      if (this.#orphans.has(source)) this.met('held event released after a restart');
      if (this.#late.has(source)) this.met('held event released after a backlog');
    }
    return this.#counts;
  }

  /** Whether it has to wait for somebody who gives its id a person. */
  #waits(event: HistoryEvent): boolean {
    if (this.#holdMs === 0 || event.fault !== 'none' || !isHoldable(event)) return false;
    return !this.#world.store.ids.has(
      identityKey({ teamId: TEAM, distinctId: asDistinctId(event.distinctId) }),
    );
  }

  #isFolded(source: string): boolean {
    const { witness } = this.#world.store;
    // A failover took some of it back.
    if (witness.length < this.#witnessed) {
      this.#witnessed = 0;
      this.#folded.clear();
    }
    for (; this.#witnessed < witness.length; this.#witnessed++) {
      for (const offset of witness[this.#witnessed]?.offsets ?? []) this.#folded.add(sourceOf(offset));
    }
    return this.#folded.has(source);
  }

  /** By the progress that was saved last. */
  #isFinished({ partition, offset }: { partition: number; offset: number }): boolean {
    const progress = this.#world.store.progressOf(partition);
    if (progress === undefined || offset >= progress.readPosition) return false;
    return !progress.unfinished.some(({ from, to }) => from <= offset && offset <= to);
  }
}

function positionOf(source: string): { partition: number; offset: number } {
  const [partition = 0, offset = 0] = source.split(':').map(Number);
  return { partition, offset };
}
