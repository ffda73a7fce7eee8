/**
 * The log in memory. Everything is durable at once and nothing fails: what a process sees of that is for its `Wire`
 * to say. Time is the clock's alone: records and assignments arrive in timers of 0 ms.
 */
import type { Clock } from '../../src/clock.ts';
import {
  type AppendRecord,
  type Assignment,
  type EventLog,
  type LogRecord,
  LogUnavailableError,
  type PartitionOffsets,
  type Position,
  type Subscriber,
  type TailHandle,
  type TopicPartition,
} from '../../src/storage/event-log.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import { INGESTION_TOPIC, TOPICS, type Topic } from '../../src/storage/topics.ts';
import { Member } from './sim-log-member.ts';

export interface SimLogOptions {
  readonly clock: Clock;
  readonly partitions: number;
  readonly identity: string;
  /** Ingestion records that this group has committed past are gone. Without one all of them stay. */
  readonly trimmedBy?: string;
}

/** A record, its place among all that the log took, and when that was (monotonic). */
export interface Arrival {
  readonly record: LogRecord;
  readonly place: number;
  readonly atMs: number;
}

export class SimLog implements EventLog {
  readonly #options: SimLogOptions;
  readonly #records: ReadonlyMap<Topic, readonly LogRecord[][]>;
  readonly #arrivals: Arrival[] = [];
  readonly #commits = new Map<string, number>();
  readonly #tails = new Set<(records: readonly LogRecord[]) => void>();
  /** In the order in which they joined. */
  #members: readonly Member[] = [];
  /** They do not know that their group goes on without them. */
  readonly #expelled = new Set<Member>();
  /** Of each group: which member has which partition, members counted in a circle. */
  readonly #deals = new Map<string, readonly number[]>();
  #generation = 0;
  /** Records without a key go to one partition after another. */
  #nextPartition = 0;
  #closed = false;

  constructor(options: SimLogOptions) {
    this.#options = options;
    this.#records = new Map(
      TOPICS.map((topic) => [topic, Array.from({ length: options.partitions }, (): LogRecord[] => [])]),
    );
  }

  identity(): string {
    return this.#options.identity;
  }

  trouble(): undefined {
    return undefined;
  }

  async partitionCount(): Promise<number> {
    return this.#options.partitions;
  }

  async append(records: readonly AppendRecord[]): Promise<readonly Position[]> {
    if (this.#closed) throw new LogUnavailableError('The log is closed.');
    const appended = records.map((record) => this.#appendOne(record));
    this.#wake();
    for (const tail of this.#tails) this.#options.clock.after(0, () => tail(appended));
    return appended.map(({ partition, offset }) => ({ partition, offset }));
  }

  async subscribe(subscriber: Subscriber): Promise<Member> {
    if (this.#closed) throw new LogUnavailableError('The log is closed.');
    const member = new Member(subscriber, {
      clock: this.#options.clock,
      read: (at) => this.read(at.topic, at.partition),
      first: (at) => this.#first(at),
      committed: (at) => this.#commits.get(commitKey(subscriber.group, at)),
      commit: (at, offset) => {
        if (!this.#expelled.has(member)) this.#commits.set(commitKey(subscriber.group, at), offset);
      },
      leave: () => {
        if (!this.#expelled.delete(member)) this.#remove(member);
      },
    });
    this.#join(member);
    return member;
  }

  /** The group deals its partitions anew: partition `p` of each topic to member `deal[p]`, counted in a circle. */
  deal(group: string, deal: readonly number[]): void {
    this.#deals.set(group, deal);
    this.#rebalance(group);
  }

  /** The group hears nothing of the member: its partitions go to the others, and it goes on with them for a while. */
  expel(member: Member): void {
    if (!this.#members.includes(member)) return;
    this.#expelled.add(member);
    this.#remove(member);
  }

  /** An expelled member hears that nothing is its own any more, and joins again. */
  readmit(member: Member): void {
    if (!this.#expelled.delete(member)) return;
    member.revokeOthers([]);
    this.#join(member);
  }

  async tail(
    topics: readonly Topic[],
    onRecords: (records: readonly LogRecord[]) => void,
  ): Promise<TailHandle> {
    const tail = (records: readonly LogRecord[]) => {
      const wanted = records.filter(({ topic }) => topics.includes(topic));
      if (wanted.length > 0 && this.#tails.has(tail)) onRecords(wanted);
    };
    this.#tails.add(tail);
    return { close: async () => void this.#tails.delete(tail) };
  }

  async offsets(topic: Topic): Promise<readonly PartitionOffsets[]> {
    return (this.#records.get(topic) ?? []).map(({ length }, partition) => ({
      partition,
      first: this.#first({ topic, partition }),
      end: length,
    }));
  }

  async committed(group: string, topic: Topic): Promise<ReadonlyMap<number, number>> {
    const commits = new Map<number, number>();
    for (let partition = 0; partition < this.#options.partitions; partition++) {
      const offset = this.#commits.get(commitKey(group, { topic, partition }));
      if (offset !== undefined) commits.set(partition, offset);
    }
    return commits;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#tails.clear();
    for (const member of [...this.#members, ...this.#expelled]) await member.close();
  }

  #first(at: TopicPartition): number {
    const { trimmedBy } = this.#options;
    if (trimmedBy === undefined || at.topic !== INGESTION_TOPIC) return 0;
    return this.#commits.get(commitKey(trimmedBy, at)) ?? 0;
  }

  /** All records that a partition ever had. */
  read(topic: Topic, partition: number): readonly LogRecord[] {
    return this.#records.get(topic)?.[partition] ?? [];
  }

  /** All records that a topic ever had, one partition after another. */
  readAll(topic: Topic): readonly LogRecord[] {
    return (this.#records.get(topic) ?? []).flat();
  }

  /** All records that a topic ever had, in the order in which they came. */
  arrivals(topic: Topic): readonly Arrival[] {
    return this.#arrivals.filter(({ record }) => record.topic === topic);
  }

  /** Whether the group has committed everything that the topic has. */
  isConsumed(group: string, topic: Topic): boolean {
    return (this.#records.get(topic) ?? []).every(
      ({ length }, partition) => (this.#commits.get(commitKey(group, { topic, partition })) ?? 0) >= length,
    );
  }

  /** What the topic has below the offsets that the group has committed. */
  consumed(group: string, topic: Topic): readonly LogRecord[] {
    const committed = (partition: number) => this.#commits.get(commitKey(group, { topic, partition })) ?? 0;
    return this.readAll(topic).filter(({ partition, offset }) => offset < committed(partition));
  }

  #appendOne(record: AppendRecord): LogRecord {
    const { partitions } = this.#options;
    const partition =
      record.key === null ? this.#nextPartition++ % partitions : partitionOf(record.key, partitions);
    const stored = this.#records.get(record.topic)?.[partition];
    if (stored === undefined) throw new Error(`there is no topic ${record.topic}`);
    const appended = { ...record, value: Buffer.from(record.value), partition, offset: stored.length };
    stored.push(appended);
    this.#arrivals.push({
      record: appended,
      place: this.#arrivals.length,
      atMs: this.#options.clock.monotonic(),
    });
    return appended;
  }

  #wake(): void {
    for (const member of [...this.#members, ...this.#expelled]) member.wake();
  }

  #join(member: Member): void {
    this.#members = [...this.#members, member];
    this.#options.clock.after(0, () => this.#rebalance(member.subscriber.group));
  }

  #remove(member: Member): void {
    this.#members = this.#members.filter((other) => other !== member);
    this.#rebalance(member.subscriber.group);
  }

  /** The partitions of a topic are dealt out to the members that subscribed to it: in turn, or as `deal` says. */
  #rebalance(group: string): void {
    const members = this.#members.filter((member) => member.subscriber.group === group);
    const owners = new Map<Member, TopicPartition[]>(members.map((member) => [member, []]));
    for (const topic of TOPICS) {
      const interested = members.filter((member) => member.subscriber.topics.includes(topic));
      if (interested.length === 0) continue;
      for (let partition = 0; partition < this.#options.partitions; partition++) {
        const turn = this.#deals.get(group)?.[partition] ?? partition;
        const owner = interested[turn % interested.length];
        if (owner) owners.get(owner)?.push({ topic, partition });
      }
    }
    for (const [member, own] of owners) member.revokeOthers(own);
    // A member may have left in one of these calls, and the rebalance of that has already dealt anew.
    if (members.some((member) => !this.#members.includes(member))) return;
    for (const [member, own] of owners) {
      for (const at of own) {
        if (!member.holds(at)) member.assign({ ...at, generation: ++this.#generation });
      }
    }
  }
}

const commitKey = (group: string, { topic, partition }: TopicPartition | Assignment): string =>
  `${group} ${topic} ${partition}`;
