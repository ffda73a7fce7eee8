/** One subscription: a member of a consumer group for as long as its owner wants, whatever happens to the brokers. */
import type { EachBatchPayload } from 'kafkajs';
import { type Cancel, sleep } from '../../clock.ts';
import type { Assignment, PartitionOffsets, Subscriber, Subscription, TopicPartition } from '../event-log.ts';
import type { Topic } from '../topics.ts';
import type { Partitions } from './assigner.ts';
import { Holding } from './holding.ts';
import type { KafkaMetrics } from './kafka-metrics.ts';
import { Session, type SessionEvents, type SessionOptions } from './session.ts';

export interface MemberOptions extends Omit<SessionOptions, 'topicNames' | 'formerMemberId'> {
  readonly prefix: string;
  readonly subscriber: Subscriber;
  readonly metrics: KafkaMetrics;
  readonly nextGeneration: () => number;
  readonly offsets: (topic: Topic) => Promise<readonly PartitionOffsets[]>;
  readonly committed: (topic: Topic) => Promise<ReadonlyMap<number, number>>;
  readonly onClosed: () => void;
}

/**
 * Modes: open -> stopped (closed by its owner, or by an error of its handlers). Nothing is called after that.
 * While open there is one session after another. What a session gives again without a break goes on as it was.
 */
export class Member implements Subscription {
  readonly #options: MemberOptions;
  readonly #held = new Map<string, Holding>();
  #session: Session | undefined;
  #stopped = false;
  #backoffMs = 0;
  #formerMemberId = '';
  #cancelStart: Cancel = () => {};
  /** Monotonic time from which it has not been in its group; `undefined` while it is. */
  #awaySince: number | undefined;
  #awayReason = 'Kafka has not let it in yet';
  #closed: Promise<void> = Promise.resolve();

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#awaySince = options.clock.monotonic();
    this.#startSession();
  }

  /** Why it has been out of its group for longer than `joinTimeoutMs`, if so. It goes on trying. */
  trouble(): string | undefined {
    const { clock, limits, groupId } = this.#options;
    if (this.#stopped || this.#awaySince === undefined) return undefined;
    const awayMs = clock.monotonic() - this.#awaySince;
    if (awayMs <= limits.joinTimeoutMs) return undefined;
    return `not in the group ${groupId} for ${Math.round(awayMs / 1000)} s: ${this.#awayReason}`;
  }

  pause(at: TopicPartition): void {
    this.#find(at)?.pause();
  }

  resume(at: TopicPartition): void {
    this.#find(at)?.resume();
  }

  rewind(at: TopicPartition, offset: number): void {
    this.#find(at)?.rewind(checkedOffset(offset));
  }

  async commit(assignment: Assignment, offset: number): Promise<void> {
    const { clock, limits, prefix, subscriber, metrics, logger } = this.#options;
    const startedAt = clock.monotonic();
    const position = {
      topic: prefix + assignment.topic,
      partition: assignment.partition,
      offset: String(checkedOffset(offset)),
    };
    let backoffMs = limits.retryBackoffMinMs;
    while (this.#find(assignment)?.assignment.generation === assignment.generation) {
      const session = this.#session;
      if (session?.isSettled) {
        try {
          await session.commit(position);
          metrics.commitSeconds.observe({ group: subscriber.group }, (clock.monotonic() - startedAt) / 1000);
          return;
        } catch (error) {
          logger.debug({ error: String(error) }, 'a commit is tried again');
        }
      }
      await sleep(clock, backoffMs);
      backoffMs = Math.min(2 * backoffMs, limits.retryBackoffMaxMs);
    }
  }

  close(): Promise<void> {
    if (!this.#stopped) this.#stop();
    return this.#closed;
  }

  #stop(): void {
    this.#stopped = true;
    this.#cancelStart();
    this.#revoke(() => true);
    this.#closed = this.#session?.close() ?? Promise.resolve();
    this.#options.onClosed();
  }

  #startSession(): void {
    const { prefix, subscriber } = this.#options;
    const topicNames = subscriber.topics.map((topic) => prefix + topic);
    const events: SessionEvents = {
      owned: () => this.#owned(),
      onJoin: (partitions, isUnbroken) => this.#onJoin(partitions, isUnbroken),
      onBatch: (payload) => this.#onBatch(payload),
      onOver: (error) => this.#onOver(error),
    };
    this.#session = new Session(
      { ...this.#options, topicNames, formerMemberId: this.#formerMemberId },
      events,
    );
    this.#session.start();
  }

  #onOver(error: Error): void {
    const { clock, limits, logger, groupId } = this.#options;
    const session = this.#session;
    this.#awaySince ??= clock.monotonic();
    this.#awayReason = error.message;
    logger.warn({ group: groupId, error: error.message }, 'a consumer group was lost: joining it again');
    this.#revoke(() => true);
    if (this.#stopped) return;
    if (session) {
      this.#formerMemberId = session.memberId || this.#formerMemberId;
      void session.close();
    }
    this.#backoffMs = Math.min(
      Math.max(2 * this.#backoffMs, limits.retryBackoffMinMs),
      limits.retryBackoffMaxMs,
    );
    this.#cancelStart = clock.after(this.#backoffMs, () => this.#startSession());
  }

  #onJoin(partitions: Partitions, isUnbroken: boolean): void {
    const { prefix, subscriber, metrics, nextGeneration } = this.#options;
    metrics.rebalances.inc({ group: subscriber.group });
    this.#backoffMs = 0;
    this.#awaySince = undefined;
    const given = new Map<string, TopicPartition>();
    for (const topic of subscriber.topics) {
      for (const partition of partitions[prefix + topic] ?? []) {
        given.set(keyOf(topic, partition), { topic, partition });
      }
    }
    this.#revoke((key) => !isUnbroken || !given.has(key));
    for (const [key, at] of given) {
      if (this.#stopped) return;
      const kept = this.#held.get(key);
      if (kept) kept.rejoined();
      else this.#assign(key, { ...at, generation: nextGeneration() }, this.#options.limits.handOverMs);
    }
  }

  #assign(key: string, assignment: Assignment, waitMs: number): void {
    const { prefix, subscriber, clock, limits, nextGeneration } = this.#options;
    const session = this.#session;
    if (!session) return;
    const holding: Holding = new Holding({
      assignment,
      topicName: prefix + assignment.topic,
      recordsMax: subscriber.recordsMax,
      session,
      onRecords: (records) => {
        try {
          subscriber.onRecords(assignment, records);
        } catch (error) {
          this.#fail(error);
        }
      },
      // Its owner looks again where to go on.
      onReset: () => {
        if (this.#held.get(key) !== holding) return;
        this.#revoke((other) => other === key);
        if (this.#stopped) return;
        const again = { ...assignment, generation: nextGeneration() };
        this.#assign(key, again, limits.retryBackoffMaxMs);
      },
    });
    this.#held.set(key, holding);
    const isHeld = (): boolean => this.#held.get(key) === holding;
    void (async () => {
      try {
        await sleep(clock, waitMs);
        if (!isHeld()) return;
        const start = await subscriber.onAssign(assignment);
        const offset = await this.#startOffset(assignment, start, isHeld);
        if (isHeld()) holding.begin(offset);
      } catch (error) {
        if (isHeld()) this.#fail(error);
      }
    })();
  }

  /** Asks until it is known, or of no use any more. */
  async #startOffset(
    { topic, partition }: Assignment,
    start: number | 'committed',
    isHeld: () => boolean,
  ): Promise<number> {
    const { clock, limits, logger, offsets, committed } = this.#options;
    if (start !== 'committed') checkedOffset(start);
    let backoffMs = limits.retryBackoffMinMs;
    while (isHeld()) {
      try {
        const [bounds, commits] = await Promise.all([
          offsets(topic),
          start === 'committed' ? committed(topic) : undefined,
        ]);
        const first = bounds.find((each) => each.partition === partition)?.first ?? 0;
        const wanted = start === 'committed' ? commits?.get(partition) : start;
        return Math.max(first, wanted ?? first);
      } catch (error) {
        logger.debug({ error: String(error) }, 'offsets are asked for again');
        await sleep(clock, backoffMs);
        backoffMs = Math.min(2 * backoffMs, limits.retryBackoffMaxMs);
      }
    }
    return 0;
  }

  async #onBatch(payload: EachBatchPayload): Promise<void> {
    const { topic, partition } = payload.batch;
    await this.#held.get(keyOf(topic.slice(this.#options.prefix.length), partition))?.take(payload);
  }

  /** By names on Kafka. */
  #owned(): Partitions {
    const owned: Record<string, number[]> = {};
    for (const { assignment } of this.#held.values()) {
      const topicName = this.#options.prefix + assignment.topic;
      const partitions = owned[topicName] ?? [];
      owned[topicName] = partitions;
      partitions.push(assignment.partition);
    }
    return owned;
  }

  #revoke(isLost: (key: string) => boolean): void {
    for (const [key, holding] of [...this.#held]) {
      if (!this.#held.has(key) || !isLost(key)) continue;
      this.#held.delete(key);
      holding.end();
      try {
        this.#options.subscriber.onRevoke(holding.assignment);
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  #fail(reason: unknown): void {
    const { logger, subscriber } = this.#options;
    const error = reason instanceof Error ? reason : new Error(String(reason));
    if (this.#stopped) {
      logger.error({ error: error.message }, 'a subscriber threw after its subscription had stopped');
      return;
    }
    this.#stop();
    try {
      subscriber.onError(error);
    } catch (thrown) {
      logger.error({ error: String(thrown) }, 'onError of a subscriber threw');
    }
  }

  #find({ topic, partition }: TopicPartition): Holding | undefined {
    return this.#held.get(keyOf(topic, partition));
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic} ${partition}`;
}

function checkedOffset(offset: number): number {
  if (Number.isSafeInteger(offset) && offset >= 0) return offset;
  throw new RangeError(`An offset is a whole number from 0 on, not ${offset}.`);
}
