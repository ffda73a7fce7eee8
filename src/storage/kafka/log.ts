/** The log on Kafka. Only this folder imports kafkajs. */
import { randomUUID } from 'node:crypto';
import type { Admin, Kafka, Producer as KafkaProducer } from 'kafkajs';
import { type Clock, within } from '../../clock.ts';
import { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';
import type { Metrics } from '../../metrics.ts';
import { type AppendRecord, type EventLog, LogUnavailableError, type Subscriber } from '../event-log.ts';
import { partitionOf } from '../murmur2.ts';
import { TOPICS, type Topic } from '../topics.ts';
import { createClient, type KafkaConnection, type KafkaLimits } from './connect.ts';
import { kafkaMetrics } from './kafka-metrics.ts';
import { Member } from './member.ts';
import type { PlacedRecord } from './message.ts';
import { Producer } from './producer.ts';
import { KafkaReader } from './reader.ts';
import { tailSubscriber } from './tail.ts';
import { prepareTopics } from './topics.ts';
import { KafkaTrouble } from './trouble.ts';

export type { KafkaConnection } from './connect.ts';

export interface KafkaLogOptions {
  readonly connection: KafkaConnection;
  /** Stands before the names of topics and groups. */
  readonly prefix: string;
  /** Partitions of topics that are made here; those that are there keep theirs. */
  readonly partitions: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits?: Partial<KafkaLimits>;
}

const ACKS_OF_ALL = -1;
const GROUP_PREFIX = 'tributary-';

/**
 * Connects, and makes or checks the topics. Rejects with a text that says what to do.
 *
 * Records of `null` key go to the partitions in turn, those of one append to the same one. The number of partitions
 * is read here, once: partitions that are added later are read at once and written after a restart. An append may be
 * in part on the log when it rejects: with `LogUnavailableError`, or with `RangeError` for a record that Kafka refuses
 * by itself (too large). Values of records read are views into a larger buffer: copy what is kept for long.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const { connection, prefix, clock, logger } = options;
  const limits: KafkaLimits = { ...LIMITS.kafka, ...options.limits };
  const metrics = kafkaMetrics(options.metrics);
  const client = createClient(connection, limits, logger);
  const reader = new KafkaReader({ createAdmin: () => client.admin(), clock, limits });
  const kafkaProducer = createProducer(client, limits);

  let counts: ReadonlyMap<Topic, number>;
  let identity: string;
  try {
    const prepare = (admin: Admin) => prepareTopics({ ...options, admin, limits, hosts: connection.hosts });
    identity = `kafka:${await reader.clusterId()}${prefix === '' ? '' : `:${prefix}`}`;
    counts = await prepareTopicsWith(client, prepare);
    await kafkaProducer.connect();
  } catch (error) {
    await Promise.allSettled([reader.close(), kafkaProducer.disconnect()]);
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`Kafka at ${connection.hosts.join(',')}: ${text}`, { cause: error });
  }

  const trouble = new KafkaTrouble({
    clock,
    logger,
    limits,
    probe: () => reader.clusterId(),
  });
  const producer = new Producer({
    send: (topicMessages) =>
      kafkaProducer.sendBatch({ topicMessages, acks: ACKS_OF_ALL, timeout: limits.requestTimeoutMs }),
    onSent: () => trouble.succeeded(),
    onFailure: (error) => trouble.failed(error),
    clock,
    limits,
    metrics,
  });
  const members = new Set<Member>();
  let generation = 0;
  let keylessAppends = 0;
  let closing: Promise<void> | undefined;

  function countOf(topic: Topic): number {
    const count = counts.get(topic);
    if (!count) throw new RangeError(`There is no topic ${topic}. Topics: ${TOPICS.join(', ')}.`);
    return count;
  }

  function place(records: readonly AppendRecord[]): PlacedRecord[] {
    const turn = keylessAppends;
    if (records.some(({ key }) => key === null)) keylessAppends++;
    return records.map((record) => {
      const count = countOf(record.topic);
      const partition = record.key === null ? turn % count : partitionOf(record.key, count);
      return { record, topicName: prefix + record.topic, partition };
    });
  }

  function assertOpen(): void {
    if (closing !== undefined) throw new LogUnavailableError('The log is closed.');
  }

  const groupIdOf = (group: string): string => `${prefix}${GROUP_PREFIX}${group}`;

  function join(subscriber: Subscriber): Member {
    const groupId = groupIdOf(subscriber.group);
    const member: Member = new Member({
      connection,
      prefix,
      groupId,
      subscriber,
      clock,
      logger,
      limits,
      metrics,
      nextGeneration: () => ++generation,
      offsets: (topic) => reader.offsets(prefix + topic),
      committed: (topic) => reader.committed(groupId, prefix + topic),
      onClosed: () => members.delete(member),
    });
    members.add(member);
    return member;
  }

  function memberTrouble(): string | undefined {
    for (const member of members) {
      const text = member.trouble();
      if (text !== undefined) return `Kafka: ${text}`;
    }
    return undefined;
  }

  return {
    identity: () => identity,
    trouble: () => trouble.text ?? memberTrouble(),

    async partitionCount(topic) {
      return countOf(topic);
    },

    async append(records, signal) {
      assertOpen();
      return producer.append(place(records), signal);
    },

    async subscribe(subscriber) {
      assertOpen();
      subscriber.topics.forEach(countOf);
      return join(subscriber);
    },

    async tail(topics, onRecords) {
      assertOpen();
      const ends = new Map(
        await Promise.all(
          topics.map(async (topic) => [topic, await reader.offsets(prefix + topic)] as const),
        ),
      );
      assertOpen();
      const group = `tail-${randomUUID()}`;
      return join(tailSubscriber({ group, topics, recordsMax: limits.tailRecordsMax, ends, onRecords }));
    },

    async offsets(topic) {
      assertOpen();
      countOf(topic);
      return reader.offsets(prefix + topic);
    },

    async committed(group, topic) {
      assertOpen();
      countOf(topic);
      return reader.committed(groupIdOf(group), prefix + topic);
    },

    close() {
      closing ??= (async () => {
        trouble.close();
        const left = [...members].map((member) => member.close());
        await within(clock, limits.closeMs, Promise.all([...left, producer.drain()]));
        producer.close();
        const disconnected = Promise.allSettled([reader.close(), kafkaProducer.disconnect()]);
        await within(clock, limits.closeMs, disconnected);
      })();
      return closing;
    },
  };
}

/** Making topics takes longer than a question, and what Kafka says to it is for the operator to read. */
async function prepareTopicsWith<Answer>(
  client: Kafka,
  prepare: (admin: Admin) => Promise<Answer>,
): Promise<Answer> {
  const admin = client.admin();
  try {
    await admin.connect();
    return await prepare(admin);
  } finally {
    await admin.disconnect();
  }
}

function createProducer(client: Kafka, limits: KafkaLimits): KafkaProducer {
  return client.producer({
    // With several requests and failed sends its sequence numbers break; repeats are told by their uuid further on.
    idempotent: false,
    allowAutoTopicCreation: false,
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
    // The queue knows the deadlines, so it alone tries again.
    retry: { retries: 0, initialRetryTime: limits.retryBackoffMinMs },
  });
}
