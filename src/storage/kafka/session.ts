/** One stay in a consumer group: joined, dealt partitions by the leader, over when the group is lost. */
import type { Cluster, Consumer, ConsumerGroupJoinEvent, EachBatchPayload } from 'kafkajs';
import { type Cancel, type Clock, within } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { type Partitions, stickyAssigner } from './assigner.ts';
import { createClient, type KafkaConnection, type KafkaLimits, kafkaErrorType } from './connect.ts';

export interface SessionOptions {
  readonly connection: KafkaConnection;
  readonly groupId: string;
  /** Names on Kafka. */
  readonly topicNames: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: KafkaLimits;
  /** Who we were in the stay before: the group need not wait for that member. */
  readonly formerMemberId: string;
}

export interface SessionEvents {
  /** What this member has. */
  owned(): Partitions;
  /** `isUnbroken`: nobody else can have had in the meantime what is given again. */
  onJoin(partitions: Partitions, isUnbroken: boolean): void;
  onBatch(payload: EachBatchPayload): Promise<void>;
  /** The membership is lost. Called once, and not after `close`. */
  onOver(error: Error): void;
}

interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

/** What kafkajs' brokers can do although its types do not say so. */
interface Coordinator {
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
}

/** Modes: joining -> joined <-> rejoining; any -> over (lost, or closed). */
export class Session {
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  readonly #consumer: Consumer;
  #mode: 'joining' | 'joined' | 'rejoining' | 'over' = 'joining';
  #cluster: Cluster | undefined;
  memberId = '';
  /** Tries to join since the last one that came to an end. */
  #tries = 0;
  #aliveAt = 0;
  #watchedAt = 0;
  #cancelWatch: Cancel = () => {};
  #running: Promise<void> = Promise.resolve();
  /** Whether kafkajs' consumer runs; known from the first batch on, before which there is little to commit. */
  #isRunning: () => boolean = () => true;

  constructor(options: SessionOptions, events: SessionEvents) {
    this.#options = options;
    this.#events = events;
    const { connection, groupId, logger, limits } = options;
    this.#consumer = createClient(connection, limits, logger).consumer({
      groupId,
      partitionAssigners: [
        stickyAssigner({
          onCluster: (cluster) => {
            this.#cluster = cluster;
          },
          claim: () => this.#claim(),
        }),
      ],
      sessionTimeout: limits.sessionTimeoutMs,
      rebalanceTimeout: limits.rebalanceTimeoutMs,
      heartbeatInterval: limits.heartbeatEveryMs,
      maxWaitTimeInMs: limits.fetchWaitMs,
      minBytes: 1,
      maxBytesPerPartition: limits.fetchPartitionBytesMax,
      maxBytes: limits.fetchBytesMax,
      allowAutoTopicCreation: false,
      retry: {
        initialRetryTime: limits.retryBackoffMinMs,
        maxRetryTime: limits.retryBackoffMaxMs,
        // Ours is the one way to begin anew.
        restartOnFailure: () => Promise.resolve(false),
      },
    });
    const { GROUP_JOIN, HEARTBEAT, CRASH } = this.#consumer.events;
    this.#consumer.on(GROUP_JOIN, (event) => this.#joined(event));
    this.#consumer.on(HEARTBEAT, () => this.#alive());
    this.#consumer.on(CRASH, ({ payload }) => this.#lose(payload.error));
  }

  /** Neither joining nor over: what is committed now is committed for the partitions that we have. */
  get isSettled(): boolean {
    return this.#mode === 'joined';
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) =>
      this.#lose(error instanceof Error ? error : new Error(String(error))),
    );
  }

  pause(topic: string, partition: number): void {
    this.#control(() => this.#consumer.pause([{ topic, partitions: [partition] }]));
  }

  resume(topic: string, partition: number): void {
    this.#control(() => this.#consumer.resume([{ topic, partitions: [partition] }]));
  }

  seek(topic: string, partition: number, offset: number): void {
    this.#control(() => this.#consumer.seek({ topic, partition, offset: String(offset) }));
  }

  /** kafkajs resolves as well when its consumer has ended by itself and nothing was written. */
  async commit(position: Position): Promise<void> {
    await this.#consumer.commitOffsets([position]);
    if (!this.#isRunning()) throw new Error('the consumer has ended');
  }

  /** Leaves the group. Resolves after `closeMs` at the latest; what then hangs ends by itself. */
  async close(): Promise<void> {
    const { clock, limits, logger } = this.#options;
    this.#end();
    // A member that leaves before it knows its name stays in the group until its session times out.
    const left = this.#running
      .then(() => this.#consumer.disconnect())
      .catch((error: unknown) =>
        logger.debug({ error: String(error) }, 'a group was not left in good order'),
      );
    await within(clock, limits.closeMs, left);
  }

  async #run(): Promise<void> {
    const { topicNames } = this.#options;
    await this.#consumer.connect();
    await this.#leaveFormer();
    if (this.#mode === 'over') return;
    await this.#consumer.subscribe({ topics: [...topicNames], fromBeginning: true });
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => {
        this.#isRunning = payload.isRunning;
        return this.#events.onBatch(payload);
      },
    });
  }

  async #leaveFormer(): Promise<void> {
    const { formerMemberId: memberId, groupId } = this.#options;
    if (!memberId || !this.#cluster) return;
    try {
      const coordinator: unknown = await this.#cluster.findGroupCoordinator({ groupId });
      await (coordinator as Coordinator).leaveGroup({ groupId, memberId });
    } catch (error) {
      if (kafkaErrorType(error) !== 'UNKNOWN_MEMBER_ID') throw error;
    }
  }

  #claim(): { memberId: string; partitions: Partitions } {
    this.#tries++;
    if (this.#mode === 'joined') this.#mode = 'rejoining';
    return { memberId: this.memberId, partitions: this.#events.owned() };
  }

  #joined({ payload }: ConsumerGroupJoinEvent): void {
    if (this.#mode === 'over') return;
    // Whoever had to try twice may have missed a generation, in which others had its partitions.
    const isUnbroken = payload.memberId === this.memberId && this.#tries === 1;
    if (this.#mode === 'joining') this.#watch();
    this.#mode = 'joined';
    this.memberId = payload.memberId;
    this.#tries = 0;
    this.#alive();
    this.#events.onJoin(payload.memberAssignment, isUnbroken);
  }

  #alive(): void {
    this.#aliveAt = this.#options.clock.monotonic();
  }

  /** A process that stood still for longer than its session has lost it, whatever it hears next. */
  #watch(): void {
    const { clock, limits } = this.#options;
    this.#watchedAt = clock.monotonic();
    this.#cancelWatch = clock.after(limits.watchEveryMs, () => {
      const now = clock.monotonic();
      const silenceMs = now - this.#aliveAt;
      const silenceMaxMs =
        limits.sessionTimeoutMs + (this.#mode === 'rejoining' ? limits.rebalanceTimeoutMs : 0);
      if (silenceMs > silenceMaxMs || now - this.#watchedAt > limits.sessionTimeoutMs) {
        this.#lose(new Error(`no heartbeat for ${Math.round(silenceMs)} ms`));
      } else {
        this.#watch();
      }
    });
  }

  #lose(error: Error): void {
    if (this.#mode === 'over') return;
    this.#end();
    this.#events.onOver(error);
  }

  #end(): void {
    this.#mode = 'over';
    this.#cancelWatch();
  }

  /** kafkajs throws when its consumer has ended by itself; we hear of that in a moment. */
  #control(action: () => void): void {
    if (this.#mode === 'over') return;
    try {
      action();
    } catch (error) {
      this.#options.logger.debug({ error: String(error) }, 'a consumer has ended');
    }
  }
}
