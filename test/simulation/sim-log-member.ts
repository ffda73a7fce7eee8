/** A member of a consumer group of the simulated log. */
import type { Clock } from '../../src/clock.ts';
import type {
  Assignment,
  LogRecord,
  Subscriber,
  Subscription,
  TopicPartition,
} from '../../src/storage/event-log.ts';

export interface MemberOptions {
  readonly clock: Clock;
  /** All records that the partition ever had. */
  readonly read: (at: TopicPartition) => readonly LogRecord[];
  /** Offset of the oldest one that is still there. */
  readonly first: (at: TopicPartition) => number;
  readonly committed: (at: TopicPartition) => number | undefined;
  readonly commit: (at: TopicPartition, offset: number) => void;
  readonly leave: () => void;
}

interface Held {
  readonly assignment: Assignment;
  /** Offset of the next record; `undefined` until `onAssign` has answered. */
  position: number | undefined;
  paused: boolean;
  /** A delivery is on its way. */
  scheduled: boolean;
}

export class Member implements Subscription {
  readonly subscriber: Subscriber;
  readonly #options: MemberOptions;
  readonly #held = new Map<string, Held>();
  #stopped = false;
  #frozen = false;

  constructor(subscriber: Subscriber, options: MemberOptions) {
    this.subscriber = subscriber;
    this.#options = options;
  }

  holds(at: TopicPartition): boolean {
    return this.#held.has(keyOf(at));
  }

  /** Number of the partition's assignment, if it has one. */
  generationOf(at: TopicPartition): number | undefined {
    return this.#held.get(keyOf(at))?.assignment.generation;
  }

  assign(assignment: Assignment): void {
    const held: Held = { assignment, position: undefined, paused: false, scheduled: false };
    this.#held.set(keyOf(assignment), held);
    void this.#begin(held);
  }

  revokeOthers(own: readonly TopicPartition[]): void {
    const kept = new Set(own.map(keyOf));
    for (const [key, { assignment }] of this.#held) {
      if (kept.has(key)) continue;
      this.#held.delete(key);
      this.subscriber.onRevoke(assignment);
    }
  }

  /** Looks for records that have come. */
  wake(): void {
    for (const held of this.#held.values()) this.#schedule(held);
  }

  /** Its process is stopped: it gets no records. */
  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    this.wake();
  }

  pause(at: TopicPartition): void {
    const held = this.#held.get(keyOf(at));
    if (held) held.paused = true;
  }

  resume(at: TopicPartition): void {
    const held = this.#held.get(keyOf(at));
    if (held === undefined) return;
    held.paused = false;
    this.#schedule(held);
  }

  rewind(at: TopicPartition, offset: number): void {
    const held = this.#held.get(keyOf(at));
    if (held?.position === undefined) return;
    held.position = Math.max(offset, this.#options.first(at));
    this.#schedule(held);
  }

  async commit(assignment: Assignment, offset: number): Promise<void> {
    const held = this.#held.get(keyOf(assignment));
    if (held?.assignment.generation === assignment.generation) this.#options.commit(assignment, offset);
  }

  async close(): Promise<void> {
    this.#stop(() => this.revokeOthers([]));
  }

  die(): void {
    this.#stop(() => this.#held.clear());
  }

  #stop(giveUp: () => void): void {
    if (this.#stopped) return;
    this.#stopped = true;
    giveUp();
    this.#options.leave();
  }

  #fail(cause: unknown): void {
    if (this.#stopped) return;
    this.#stop(() => this.revokeOthers([]));
    this.subscriber.onError(cause instanceof Error ? cause : new Error(String(cause)));
  }

  async #begin(held: Held): Promise<void> {
    try {
      const start = await this.subscriber.onAssign(held.assignment);
      const from = start === 'committed' ? (this.#options.committed(held.assignment) ?? 0) : start;
      held.position = Math.max(from, this.#options.first(held.assignment));
      this.#schedule(held);
    } catch (error) {
      this.#fail(error);
    }
  }

  #schedule(held: Held): void {
    if (held.scheduled || !this.#isReady(held)) return;
    held.scheduled = true;
    this.#options.clock.after(0, () => {
      held.scheduled = false;
      this.#deliver(held);
    });
  }

  /** Whether the partition is still ours, flows, and has records for us. */
  #isReady(held: Held): held is Held & { position: number } {
    const { assignment, position, paused } = held;
    if (this.#frozen || paused || position === undefined) return false;
    return this.#held.get(keyOf(assignment)) === held && position < this.#options.read(assignment).length;
  }

  #deliver(held: Held): void {
    if (!this.#isReady(held)) return;
    const { assignment, position } = held;
    const records = this.#options.read(assignment).slice(position, position + this.subscriber.recordsMax);
    // First: the handler may rewind.
    held.position = position + records.length;
    try {
      this.subscriber.onRecords(assignment, records);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#schedule(held);
  }
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic} ${partition}`;
