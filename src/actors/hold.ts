/**
 * Everything that is held: one mailbox for each distinct id that nobody knows yet. A record that gives the id a person
 * takes its events along; else they go when their time is over and their partition has dispatched whatever came
 * before, so that a backlog makes no persons that an `$identify` further back would have spared. What goes by time
 * goes as far as there is room, the oldest first; past the bound of memory the oldest go early.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Identity } from '../storage/person-store.ts';
import type { Entry, Reached } from './entry.ts';
import { Held } from './held.ts';
import { HeldId } from './held-id.ts';
import type { HoldReport, ReleaseReason } from './hold-report.ts';
import { identityKey } from './identities.ts';

export interface HoldOptions {
  readonly clock: Clock;
  /** 0: nothing is held. */
  readonly holdMs: number;
  readonly bytesMax: number;
  /** Mailboxes that are due within the same slot of this length share a timer. */
  readonly slotMs: number;
  /** How often the end of the log is asked for while mailboxes wait for their partition. */
  readonly askEveryMs: number;
  /** Events that went by time or memory and have no fate yet; past it others that are due wait. */
  readonly releasedMax: number;
  /** Where each partition of the log ends now. */
  readonly ends: () => Promise<ReadonlyMap<number, number>>;
  readonly onHeld: (held: Held, until: HeldId) => void;
  /** They go on, for this reason; `by`: the event that gave the id its person. */
  readonly onReleased: (events: readonly Held[], reason: ReleaseReason, by: Entry | undefined) => void;
  /** Their time is over: they have to be dispatched. */
  readonly dispatch: (events: readonly Held[]) => void;
  readonly onFailure: (error: unknown) => void;
}

export class Hold {
  readonly #options: HoldOptions;
  readonly #mailboxes = new Map<string, HeldId>();
  /** Mailboxes in mode `holding`, by the slot in which they are due. */
  readonly #slots = new Map<number, Set<HeldId>>();
  readonly #overdue = new Set<HeldId>();
  readonly #ready = new Set<HeldId>();
  /** `partition:offset` of events that went by time or memory and have no fate yet. */
  readonly #released = new Set<string>();
  readonly #reached = new Map<number, Reached>();
  #bytes = 0;
  #events = 0;
  #timer: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #asking = false;
  #halted = false;
  #closed = false;

  constructor(options: HoldOptions) {
    this.#options = options;
  }

  get idCount(): number {
    return this.#mailboxes.size;
  }

  get eventCount(): number {
    return this.#events;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** More is held than the bound allows: nothing more should be read. */
  get isFull(): boolean {
    return this.#bytes > this.#options.bytesMax;
  }

  get isOn(): boolean {
    return this.#options.holdMs > 0;
  }

  has(identity: Identity): boolean {
    return this.#mailboxes.size > 0 && this.#mailboxes.has(identityKey(identity));
  }

  add(entry: Entry): void {
    const { clock, holdMs, onHeld } = this.#options;
    const held = new Held(entry);
    const key = identityKey(entry.event);
    let mailbox = this.#mailboxes.get(key);
    if (mailbox === undefined) {
      mailbox = new HeldId(key, held, holdMs, { wallMs: clock.now(), monotonicMs: clock.monotonic() });
      this.#mailboxes.set(key, mailbox);
      this.#schedule(mailbox);
    }
    mailbox.add(held);
    this.#bytes += held.bytes;
    this.#events += 1;
    onHeld(held, mailbox);
    this.#makeRoom();
  }

  /** The id's events, which go on. */
  take(identity: Identity, reason: ReleaseReason, by: Entry | undefined): readonly Held[] {
    if (this.#mailboxes.size === 0) return [];
    const mailbox = this.#mailboxes.get(identityKey(identity));
    return mailbox ? this.#remove(mailbox, reason, by) : [];
  }

  /** Another process gave the id a person: its events go on, as far as there is room. */
  known(identity: Identity): void {
    const mailbox = this.#mailboxes.size > 0 ? this.#mailboxes.get(identityKey(identity)) : undefined;
    if (mailbox === undefined || mailbox.life.is('ready')) return;
    mailbox.reason = 'person';
    this.#becomeReady(mailbox);
    this.pump();
  }

  /** The partition's records up to this one were dispatched. */
  reached(reached: Reached): void {
    this.#reached.set(reached.partition, reached);
    if (this.#overdue.size === 0) return;
    for (const mailbox of this.#overdue) {
      if (mailbox.partition === reached.partition && reached.recordedAtMs >= mailbox.dueAtMs)
        this.#becomeReady(mailbox);
    }
    this.pump();
  }

  /** The record has its fate. */
  finished(partition: number, offset: number): void {
    if (this.#released.size > 0 && this.#released.delete(`${partition}:${offset}`)) this.pump();
  }

  /** Nothing goes by time or memory until `go`: what is being dispatched anew may give its id a person. */
  halt(): void {
    this.#halted = true;
  }

  go(): void {
    this.#halted = false;
    this.pump();
  }

  /** Lets go what is ready, as far as there is room. */
  pump(): void {
    if (this.#closed || this.#halted || this.#ready.size === 0) return;
    const going: Held[] = [];
    for (const mailbox of this.#ready) {
      if (this.#released.size >= this.#options.releasedMax) break;
      for (const held of this.#remove(mailbox, mailbox.reason, undefined)) going.push(held);
    }
    if (going.length > 0) this.#options.dispatch(going);
  }

  find(eventUuid: string): Extract<HoldReport, { state: 'held' }> | undefined {
    for (const { events, distinctId, dueAtMs } of this.#mailboxes.values()) {
      if (events.some(({ uuid }) => uuid === eventUuid)) {
        return { state: 'held', distinctId, untilMs: dueAtMs, events: events.length };
      }
    }
    return undefined;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #remove(mailbox: HeldId, reason: ReleaseReason, by: Entry | undefined): readonly Held[] {
    this.#mailboxes.delete(mailbox.key);
    this.#unslot(mailbox);
    this.#overdue.delete(mailbox);
    this.#ready.delete(mailbox);
    mailbox.life.move('gone');
    this.#bytes -= mailbox.bytes;
    this.#events -= mailbox.events.length;
    if (reason !== 'person') {
      for (const held of mailbox.events) {
        held.released = true;
        this.#released.add(`${held.partition}:${held.offset}`);
      }
    }
    this.#options.onReleased(mailbox.events, reason, by);
    return mailbox.events;
  }

  #becomeReady(mailbox: HeldId): void {
    this.#unslot(mailbox);
    this.#overdue.delete(mailbox);
    mailbox.life.move('ready');
    this.#ready.add(mailbox);
  }

  /** The oldest go early, until what is left fits. */
  #makeRoom(): void {
    if (!this.isFull) return;
    let readyBytes = 0;
    for (const { bytes } of this.#ready) readyBytes += bytes;
    while (this.#bytes - readyBytes > this.#options.bytesMax) {
      const oldest = this.#oldest();
      if (oldest === undefined) break;
      readyBytes += oldest.bytes;
      oldest.reason = 'memory';
      this.#becomeReady(oldest);
    }
    this.pump();
  }

  #oldest(): HeldId | undefined {
    for (const mailbox of this.#overdue) return mailbox;
    for (const mailbox of this.#slots.get(this.#nextSlot() ?? Number.NaN) ?? []) return mailbox;
    return undefined;
  }

  #schedule(mailbox: HeldId): void {
    const slot = this.#slotOf(mailbox);
    const mailboxes = this.#slots.get(slot);
    if (mailboxes) mailboxes.add(mailbox);
    else this.#slots.set(slot, new Set([mailbox]));
    if (this.#timer === undefined || this.#timer.atMs > slot * this.#options.slotMs) this.#arm();
  }

  #unslot(mailbox: HeldId): void {
    const slot = this.#slotOf(mailbox);
    const mailboxes = this.#slots.get(slot);
    if (mailboxes?.delete(mailbox) && mailboxes.size === 0) this.#slots.delete(slot);
  }

  #slotOf({ dueMonotonicMs }: HeldId): number {
    return Math.ceil(dueMonotonicMs / this.#options.slotMs);
  }

  #nextSlot(): number | undefined {
    let next: number | undefined;
    for (const slot of this.#slots.keys()) if (next === undefined || slot < next) next = slot;
    return next;
  }

  #arm(): void {
    const { clock } = this.#options;
    const slot = this.#nextSlot();
    const atMs = Math.min(
      slot === undefined ? Number.POSITIVE_INFINITY : slot * this.#options.slotMs,
      this.#overdue.size > 0 ? clock.monotonic() + this.#options.askEveryMs : Number.POSITIVE_INFINITY,
    );
    if (this.#closed || (this.#timer && this.#timer.atMs <= atMs)) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const cancel = clock.after(Math.max(0, atMs - clock.monotonic()), () => {
      this.#timer = undefined;
      this.#tick();
    });
    this.#timer = { atMs, cancel };
  }

  #tick(): void {
    if (this.#closed) return;
    const nowMs = this.#options.clock.monotonic();
    for (const [slot, mailboxes] of this.#slots) {
      if (slot * this.#options.slotMs > nowMs) continue;
      this.#slots.delete(slot);
      for (const mailbox of mailboxes) {
        mailbox.life.move('overdue');
        this.#overdue.add(mailbox);
      }
    }
    for (const mailbox of this.#overdue) {
      const reached = this.#reached.get(mailbox.partition);
      const hasCaughtUp = reached !== undefined && reached.recordedAtMs >= mailbox.dueAtMs;
      if (hasCaughtUp || nowMs >= mailbox.lastMonotonicMs) this.#becomeReady(mailbox);
    }
    if (this.#overdue.size > 0) void this.#askForEnds([...this.#overdue]);
    this.pump();
    this.#arm();
  }

  /** What had come before they were due lies below the ends as they are now. */
  async #askForEnds(mailboxes: readonly HeldId[]): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const ends = await this.#options.ends();
      if (this.#closed) return;
      for (const mailbox of mailboxes) {
        const end = ends.get(mailbox.partition) ?? 0;
        const reached = this.#reached.get(mailbox.partition)?.offset ?? -1;
        if (mailbox.life.is('overdue') && reached + 1 >= end) this.#becomeReady(mailbox);
      }
      this.pump();
    } catch (error) {
      if (!this.#closed) this.#options.onFailure(error);
    } finally {
      this.#asking = false;
    }
  }
}
