/**
 * Consumer groups. All members are in this process: the partitions of a topic are dealt out in turn to the members
 * that subscribed to it, in the order in which they joined, again whenever one joins or leaves.
 */
import {
  type Assignment,
  LogUnavailableError,
  type Subscriber,
  type Subscription,
  type TopicPartition,
} from '../event-log.ts';
import type { Topic } from '../topics.ts';
import type { Commits } from './log-commits.ts';
import { type Cursor, Delivery } from './log-delivery.ts';
import type { Partition } from './log-partition.ts';

interface Surroundings {
  readonly partitions: ReadonlyMap<Topic, readonly Partition[]>;
  readonly commits: Commits;
  readonly readBytesMax: number;
  readonly logError: (error: Error, message: string) => void;
}

export class Groups {
  readonly #surroundings: Surroundings;
  /** In the order in which they joined. */
  #members: readonly Member[] = [];
  #generation = 0;
  #closed = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  get deliveries(): readonly Delivery[] {
    return this.#members.map((member) => member.delivery);
  }

  /** Assignments follow after this has resolved. */
  async join(subscriber: Subscriber): Promise<Subscription> {
    await this.#surroundings.commits.register(subscriber.group, subscriber.topics);
    if (this.#closed) throw new LogUnavailableError('The log is closed.');
    const member = new Member(subscriber, this.#surroundings, () => this.#leave(member));
    this.#members = [...this.#members, member];
    setImmediate(() => this.#rebalance(subscriber.group));
    return member;
  }

  close(): void {
    this.#closed = true;
    for (const member of this.#members) member.stop();
  }

  #leave(member: Member): void {
    this.#members = this.#members.filter((other) => other !== member);
    this.#rebalance(member.subscriber.group);
  }

  #rebalance(group: string): void {
    const members = this.#members.filter((member) => member.subscriber.group === group);
    const owners = new Map<Partition, Member>();
    for (const [topic, partitions] of this.#surroundings.partitions) {
      const interested = members.filter((member) => member.subscriber.topics.includes(topic));
      for (const partition of partitions) {
        const owner = interested[partition.partition % interested.length];
        if (owner) owners.set(partition, owner);
      }
    }
    for (const member of members) member.revoke((partition) => owners.get(partition) !== member);
    // A member may have left in one of these calls, and the rebalance of that has already dealt anew.
    if (members.some((member) => !this.#members.includes(member))) return;
    for (const [partition, owner] of owners) {
      if (!owner.holds(partition)) owner.assign(partition, ++this.#generation);
    }
  }
}

interface Held {
  readonly assignment: Assignment;
  readonly cursor: Cursor;
}

/** Modes: open -> stopped (closed by its owner, or by an error of its handlers). Nothing is called after that. */
class Member implements Subscription {
  readonly subscriber: Subscriber;
  readonly delivery: Delivery;
  readonly #surroundings: Surroundings;
  readonly #leave: () => void;
  readonly #held = new Map<Partition, Held>();
  #stopped = false;

  constructor(subscriber: Subscriber, surroundings: Surroundings, leave: () => void) {
    this.subscriber = subscriber;
    this.#surroundings = surroundings;
    this.#leave = leave;
    this.delivery = new Delivery(subscriber.recordsMax, surroundings.readBytesMax, (error) =>
      this.#fail(error),
    );
  }

  holds(partition: Partition): boolean {
    return this.#held.has(partition);
  }

  assign(partition: Partition, generation: number): void {
    if (this.#stopped) return;
    const assignment = { topic: partition.topic, partition: partition.partition, generation };
    const onRecords: Cursor['onRecords'] = (records) => this.subscriber.onRecords(assignment, records);
    const held = { assignment, cursor: { partition, position: 0, paused: false, onRecords } };
    this.#held.set(partition, held);
    void this.#begin(held);
  }

  async #begin(held: Held): Promise<void> {
    const { assignment, cursor } = held;
    try {
      const start = await this.subscriber.onAssign(assignment);
      if (this.#held.get(cursor.partition) !== held) return;
      cursor.position = start === 'committed' ? this.#committed(assignment) : checkedOffset(start);
      this.delivery.add(cursor);
    } catch (error) {
      if (this.#held.get(cursor.partition) === held) this.#fail(error);
    }
  }

  /** Where there is no commit: the oldest record. */
  #committed({ topic, partition }: Assignment): number {
    return this.#surroundings.commits.of(this.subscriber.group, topic).get(partition) ?? 0;
  }

  /** Revokes the partitions for which `isLost` is true. */
  revoke(isLost: (partition: Partition) => boolean): void {
    for (const [partition, { assignment, cursor }] of [...this.#held]) {
      if (!this.#held.has(partition) || !isLost(partition)) continue;
      this.#held.delete(partition);
      this.delivery.remove(cursor);
      try {
        this.subscriber.onRevoke(assignment);
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  pause(at: TopicPartition): void {
    const cursor = this.#find(at)?.cursor;
    if (cursor) cursor.paused = true;
  }

  resume(at: TopicPartition): void {
    const cursor = this.#find(at)?.cursor;
    if (cursor) cursor.paused = false;
    this.delivery.wake();
  }

  rewind(at: TopicPartition, offset: number): void {
    const cursor = this.#find(at)?.cursor;
    if (cursor) cursor.position = checkedOffset(offset);
    this.delivery.wake();
  }

  async commit(assignment: Assignment, offset: number): Promise<void> {
    const { topic, partition, generation } = assignment;
    if (this.#find(assignment)?.assignment.generation !== generation) return;
    await this.#surroundings.commits.commit(this.subscriber.group, topic, partition, checkedOffset(offset));
  }

  async close(): Promise<void> {
    this.stop();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.revoke(() => true);
    this.#leave();
  }

  #fail(reason: unknown): void {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    if (this.#stopped) {
      this.#surroundings.logError(error, 'A subscriber threw after its subscription had stopped');
      return;
    }
    this.stop();
    try {
      this.subscriber.onError(error);
    } catch (thrown) {
      this.#surroundings.logError(
        thrown instanceof Error ? thrown : new Error(String(thrown)),
        'onError of a subscriber threw',
      );
    }
  }

  #find({ topic, partition }: TopicPartition): Held | undefined {
    const found = this.#surroundings.partitions.get(topic)?.[partition];
    return found && this.#held.get(found);
  }
}

function checkedOffset(offset: number): number {
  if (Number.isSafeInteger(offset) && offset >= 0) return offset;
  throw new RangeError(`An offset is a whole number from 0 on, not ${offset}.`);
}
