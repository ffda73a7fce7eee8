/**
 * The mailbox of a distinct id that nobody knows yet: its events wait here, in the order of the log, until somebody says
 * who they are about.
 *
 * Modes: holding  its time has not come
 *        overdue  its time is over, but records that came before are still to be dispatched, and may name it
 *        ready    it may go, as soon as there is room
 *        gone     its events go on
 * Moves: holding → overdue (time) → ready (its partition has caught up, or one hold after it was first seen)
 *        holding, overdue → ready (memory, or another process gave it a person) · holding, overdue, ready → gone (a person, or its turn)
 */
import type { DistinctId, TeamId } from '../event/ids.ts';
import type { Held } from './held.ts';
import type { ReleaseReason } from './hold-report.ts';
import { Lifecycle, type Moves } from './lifecycle.ts';

export type HeldIdMode = 'holding' | 'overdue' | 'ready' | 'gone';
const MOVES: Moves<HeldIdMode> = {
  holding: ['overdue', 'ready', 'gone'],
  overdue: ['ready', 'gone'],
  ready: ['gone'],
  gone: [],
};

export class HeldId {
  readonly key: string;
  readonly teamId: TeamId;
  readonly distinctId: DistinctId;
  /** Of its first event: the log keeps all records of an id in one. */
  readonly partition: number;
  readonly life = new Lifecycle<HeldIdMode>('held id', MOVES, 'holding');
  /** When its first event has waited long enough: of the record's clock, and of the monotonic one. */
  readonly dueAtMs: number;
  readonly dueMonotonicMs: number;
  /** By the monotonic clock: from then on a backlog holds it up no longer. */
  readonly lastMonotonicMs: number;
  /** In the order of the log. */
  readonly events: Held[] = [];
  bytes = 0;
  /** Why it is ready. */
  reason: ReleaseReason = 'time';

  constructor(
    key: string,
    first: Held,
    holdMs: number,
    now: { readonly wallMs: number; readonly monotonicMs: number },
  ) {
    this.key = key;
    this.teamId = first.teamId;
    this.distinctId = first.distinctId;
    this.partition = first.partition;
    this.dueAtMs = first.recordedAtMs + holdMs;
    this.dueMonotonicMs = now.monotonicMs + clamp(this.dueAtMs - now.wallMs, 0, holdMs);
    this.lastMonotonicMs = first.seenAtMs + holdMs;
  }

  add(held: Held): void {
    let place = this.events.length;
    while (place > 0 && isBefore(held, this.events[place - 1])) place -= 1;
    this.events.splice(place, 0, held);
    this.bytes += held.bytes;
  }
}

const isBefore = (a: Held, b: Held | undefined): boolean =>
  b !== undefined && (a.partition - b.partition || a.offset - b.offset) < 0;

const clamp = (value: number, min: number, max: number): number => Math.min(Math.max(value, min), max);
