/** Questions to the brokers: offsets, commits, whether they are there. Through one connection, in bounded time. */
import type { Admin } from 'kafkajs';
import { type Clock, sleep, within } from '../../clock.ts';
import { LogUnavailableError, type PartitionOffsets } from '../event-log.ts';
import { type KafkaLimits, kafkaErrorType } from './connect.ts';

interface ReaderOptions {
  readonly createAdmin: () => Admin;
  readonly clock: Clock;
  readonly limits: KafkaLimits;
}

/** Nothing is remembered, but who asks the same while the answer is on its way gets that answer. */
export class KafkaReader {
  readonly #options: ReaderOptions;
  #admin: Promise<Admin> | undefined;
  readonly #asking = new Map<string, Promise<unknown>>();

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  offsets(topicName: string): Promise<readonly PartitionOffsets[]> {
    return this.#shared(`offsets ${topicName}`, async (admin) => {
      const offsets = await admin.fetchTopicOffsets(topicName);
      return offsets
        .map(({ partition, low, high }) => ({ partition, first: Number(low), end: Number(high) }))
        .toSorted((a, b) => a.partition - b.partition);
    });
  }

  committed(groupId: string, topicName: string): Promise<ReadonlyMap<number, number>> {
    return this.#shared(`committed ${groupId} ${topicName}`, async (admin) => {
      const topics = await admin.fetchOffsets({ groupId, topics: [topicName] });
      const commits = topics.flatMap(({ partitions }) => partitions);
      // Below 0: none.
      return new Map(
        commits
          .map(({ partition, offset }) => [partition, Number(offset)] as const)
          .filter(([, offset]) => offset >= 0),
      );
    });
  }

  clusterId(): Promise<string> {
    return this.#shared('cluster', async (admin) => (await admin.describeCluster()).clusterId);
  }

  /** Rejects with `LogUnavailableError` when there is no answer in time; the connection is made anew after that. */
  async #ask<Answer>(question: (admin: Admin) => Promise<Answer>): Promise<Answer> {
    const { clock, limits, createAdmin } = this.#options;
    this.#admin ??= connected(createAdmin());
    const connection = this.#admin;
    try {
      const answer = await within(clock, limits.askTimeoutMs, this.#answer(connection, question));
      if (answer === undefined) throw new Error(`no answer within ${limits.askTimeoutMs} ms`);
      return answer.value;
    } catch (error) {
      if (this.#admin === connection) this.#admin = undefined;
      void disconnect(connection);
      const text = error instanceof Error ? error.message : String(error);
      throw new LogUnavailableError(`Kafka cannot be asked: ${text}`, { cause: error });
    }
  }

  /** A broker that answers with an error, such as that it leads a partition not yet, may do better in a moment. */
  async #answer<Answer>(
    connection: Promise<Admin>,
    question: (admin: Admin) => Promise<Answer>,
  ): Promise<{ readonly value: Answer }> {
    const { clock, limits } = this.#options;
    const giveUpAt = clock.monotonic() + limits.askTimeoutMs;
    for (;;) {
      try {
        return { value: await question(await connection) };
      } catch (error) {
        if (kafkaErrorType(error) === undefined || clock.monotonic() >= giveUpAt) throw error;
        await sleep(clock, limits.retryBackoffMinMs);
      }
    }
  }

  async close(): Promise<void> {
    if (this.#admin !== undefined) await disconnect(this.#admin);
  }

  #shared<Answer>(name: string, question: (admin: Admin) => Promise<Answer>): Promise<Answer> {
    const asking = this.#asking.get(name);
    if (asking !== undefined) return asking as Promise<Answer>;
    const answer = this.#ask(question).finally(() => this.#asking.delete(name));
    this.#asking.set(name, answer);
    return answer;
  }
}

async function connected(admin: Admin): Promise<Admin> {
  await admin.connect();
  return admin;
}

async function disconnect(connection: Promise<Admin>): Promise<void> {
  await connection.then((admin) => admin.disconnect()).catch(() => {});
}
