/** The log in one process, on lmdb: durable, several partitions, offsets and commits kept. */
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';
import { type AppendRecord, type EventLog, LogFullError, LogUnavailableError } from '../event-log.ts';
import { partitionOf } from '../murmur2.ts';
import { INGESTION_TOPIC, TOPICS, type Topic } from '../topics.ts';
import { GroupCommit, type PlacedRecord } from './log-append.ts';
import { recordBytes } from './log-codec.ts';
import { Commits } from './log-commits.ts';
import { Delivery } from './log-delivery.ts';
import { Groups } from './log-groups.ts';
import { Partition } from './log-partition.ts';
import { RecentChunks } from './log-recent.ts';
import { Retention } from './log-retention.ts';
import { type LogLimits, openStore } from './log-store.ts';
import { WriteTrouble } from './log-trouble.ts';

export interface EmbeddedLogOptions {
  /** Made when it is not there. One process at a time may have it open: the caller's duty. */
  readonly dir: string;
  /** Partitions of each topic; fixed when the log is made. */
  readonly partitions: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<LogLimits>;
}

export interface EmbeddedLog extends EventLog {
  /** Bytes on disk of the records that are there: an estimate, kept up to date without looking. */
  usedBytes(): number;
}

/**
 * Opens the log of a folder, or makes it. Rejects with a text that says what to do when lmdb is not installed or
 * the log was made with another number of partitions.
 *
 * One append is always one transaction: all of its records, or none. Its values must not change until it resolves.
 * Records of `null` key go to the partitions in turn, those of one append to the same one. Values of records read
 * are views into a larger buffer: copy what is kept for long. A handler of `tail` that throws ends the process.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const { clock, logger } = options;
  const limits: LogLimits = { ...LIMITS.log, ...options.limits };
  const store = await openStore(options.dir, options.partitions);

  const recent = new RecentChunks(limits.recentBytesMax);
  const partitions = new Map<Topic, readonly Partition[]>();
  for (const topic of TOPICS) {
    const indexes = Array.from({ length: options.partitions }, (_, index) => index);
    partitions.set(
      topic,
      indexes.map((index) => new Partition(store, recent, topic, index)),
    );
  }
  const allPartitions = [...partitions.values()].flat();

  const trouble = new WriteTrouble({
    clock,
    logger,
    probeEveryMs: limits.probeEveryMs,
    probeBytesMin: limits.probeBytesMin,
    probe: async (bytes) => {
      groupCommit.assertDiskSpace(bytes, limits.diskFreeEventsBytesMin);
      await groupCommit.submit({ records: [], put: () => store.probe(bytes), putBytes: bytes });
      await groupCommit.submit({ records: [], put: () => store.probe(0) });
    },
  });
  const groupCommit = new GroupCommit(store, recent, clock, limits, {
    onDurable() {
      for (const delivery of deliveries()) delivery.wake();
    },
    onFailure: (error, bytes) => trouble.failed(error, bytes),
  });
  const commits = new Commits(store, groupCommit);
  const groups = new Groups({
    partitions,
    commits,
    readBytesMax: limits.readBytesMax,
    logError: (error, message) => logger.error({ error }, message),
  });
  const tails = new Set<Delivery>();
  const deliveries = (): readonly Delivery[] => [...groups.deliveries, ...tails];
  const retention = new Retention({
    store,
    groupCommit,
    commits,
    partitions: allPartitions,
    cursors: () => deliveries().flatMap((delivery) => delivery.cursors),
    usedBytes,
    clock,
    logger,
    limits,
  });
  retention.start();
  let closing: Promise<void> | undefined;
  let keylessAppends = 0;

  function partitionsOf(topic: Topic): readonly Partition[] {
    const found = partitions.get(topic);
    if (!found) throw new RangeError(`There is no topic ${topic}. Topics: ${TOPICS.join(', ')}.`);
    return found;
  }

  function usedBytes(): number {
    return allPartitions.reduce((bytes, partition) => bytes + partition.usedBytes, 0);
  }

  function place(records: readonly AppendRecord[]): PlacedRecord[] {
    const keyless = keylessAppends % options.partitions;
    if (records.some((record) => record.key === null)) keylessAppends++;
    return records.map((record) => {
      const index = record.key === null ? keyless : partitionOf(record.key, options.partitions);
      const partition = partitionsOf(record.topic)[index];
      if (!partition) throw new RangeError(`There is no partition ${index}.`);
      return { record, partition };
    });
  }

  function assertOpen(): void {
    if (closing !== undefined) throw new LogUnavailableError('The log is closed.');
  }

  /** Events leave the rest of the disk to what drains the log. */
  function assertDiskSpace(bytes: number): void {
    try {
      groupCommit.assertDiskSpace(bytes, limits.diskFreeEventsBytesMin);
    } catch (error) {
      if (error instanceof LogFullError) trouble.failed(error, bytes);
      throw error;
    }
  }

  function assertSpace(records: readonly AppendRecord[]): void {
    const isIngestion = records.some((record) => record.topic === INGESTION_TOPIC);
    const bytesMax = isIngestion ? limits.bytesMax : limits.drainBytesMax;
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), groupCommit.waitingBytes);
    if (isIngestion) assertDiskSpace(bytes);
    if (usedBytes() + bytes <= bytesMax) return;
    throw new LogFullError(`The log has reached its bound of ${bytesMax} bytes: its readers are behind.`);
  }

  return {
    usedBytes,
    trouble: () => trouble.text,
    identity: () => store.identity,

    async partitionCount(topic) {
      return partitionsOf(topic).length;
    },

    async append(records) {
      assertOpen();
      assertSpace(records);
      if (records.length === 0) return [];
      return groupCommit.submit({ records: place(records) });
    },

    async subscribe(subscriber) {
      assertOpen();
      subscriber.topics.forEach(partitionsOf);
      return groups.join(subscriber);
    },

    async tail(topics, onRecords) {
      assertOpen();
      const delivery = new Delivery(limits.tailRecordsMax, limits.readBytesMax, (error) => {
        throw error;
      });
      for (const partition of topics.flatMap(partitionsOf)) {
        delivery.add({ partition, position: partition.end, paused: false, onRecords });
      }
      tails.add(delivery);
      return {
        async close() {
          delivery.close();
          tails.delete(delivery);
        },
      };
    },

    async offsets(topic) {
      return partitionsOf(topic).map(({ partition, first, end }) => ({ partition, first, end }));
    },

    async committed(group, topic) {
      partitionsOf(topic);
      return new Map(commits.of(group, topic));
    },

    close() {
      closing ??= (async () => {
        retention.stop();
        trouble.close();
        groups.close();
        for (const delivery of tails) delivery.close();
        await groupCommit.drain();
        await store.close();
      })();
      return closing;
    },
  };
}
