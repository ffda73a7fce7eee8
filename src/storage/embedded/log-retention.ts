/**
 * Deletes old records, in small steps. A record may go only when every group that has ever read its topic has
 * committed past it and no open reader still has to read it. So a topic that nobody has ever read keeps everything.
 * Of what may go, that goes which is older than `retainedMs` or more than `retainedBytesMax` over all partitions.
 */
import type { Cancel, Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { Topic } from '../topics.ts';
import type { GroupCommit } from './log-append.ts';
import type { Commits } from './log-commits.ts';
import type { Cursor } from './log-delivery.ts';
import type { Partition, StoredChunk } from './log-partition.ts';
import type { LogLimits, LogStore } from './log-store.ts';

interface Surroundings {
  readonly store: LogStore;
  readonly groupCommit: GroupCommit;
  readonly commits: Commits;
  readonly partitions: readonly Partition[];
  readonly cursors: () => readonly Cursor[];
  readonly usedBytes: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: LogLimits;
}

/** What may be deleted of a partition. */
interface Releasable {
  readonly partition: Partition;
  /** Offset below which everything may go. */
  readonly below: number;
  readonly bytes: number;
}

export class Retention {
  readonly #log: Surroundings;
  readonly #warnedTopics = new Set<Topic>();
  #cancel: Cancel | undefined;
  #stopped = false;

  constructor(log: Surroundings) {
    this.#log = log;
  }

  start(): void {
    if (this.#stopped) return;
    this.#cancel = this.#log.clock.after(this.#log.limits.retentionEveryMs, () => {
      void this.#sweep().finally(() => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  async #sweep(): Promise<void> {
    const { partitions, limits, logger } = this.#log;
    try {
      this.#warn();
      const releasable = partitions.map((partition) => this.#releasable(partition));
      const bytes = releasable.reduce((sum, part) => sum + part.bytes, 0);
      const keptShare = Math.min(1, limits.retainedBytesMax / bytes);
      for (const part of releasable)
        await this.#trim(part, part.partition.bytesBefore + part.bytes * (1 - keptShare));
    } catch (error) {
      logger.warn({ error: String(error) }, 'Deleting old records of the log failed and will be tried again');
    }
  }

  #releasable(partition: Partition): Releasable {
    const { commits, cursors } = this.#log;
    const needed = commits
      .groups(partition.topic)
      .map((group) => commits.of(group, partition.topic).get(partition.partition) ?? 0);
    if (needed.length === 0) return { partition, below: 0, bytes: 0 };
    for (const cursor of cursors()) if (cursor.partition === partition) needed.push(cursor.position);
    const below = Math.min(...needed);
    const [firstKept] = partition.chunks(below, 1);
    const bytes = (firstKept?.bytesBefore ?? partition.bytesAfter) - partition.bytesBefore;
    return { partition, below, bytes: Math.max(0, bytes) };
  }

  /** Deletes what is too old, and the rest up to the running total `excessTo`. */
  async #trim({ partition, below }: Releasable, excessTo: number): Promise<void> {
    const { store, groupCommit, clock, limits } = this.#log;
    while (!this.#stopped) {
      const oldest = clock.now() - limits.retainedMs;
      const chunks: StoredChunk[] = [];
      for (const chunk of partition.chunks(partition.first, limits.retentionChunksMax)) {
        const released = chunk.lastOffset < below && chunk.lastOffset < partition.end - 1;
        if (!released || (chunk.appendedAt >= oldest && chunk.bytesBefore >= excessTo)) break;
        chunks.push(chunk);
      }
      const last = chunks.at(-1);
      if (!last) return;
      await groupCommit.submit({
        records: [],
        put: () => {
          for (const { key } of chunks) void store.chunks.remove(key);
        },
        onDurable: () => partition.shrank(last),
      });
    }
  }

  #warn(): void {
    const { commits, partitions, usedBytes, limits, logger } = this.#log;
    for (const { topic, usedBytes } of partitions) {
      if (usedBytes === 0 || commits.groups(topic).length > 0 || this.#warnedTopics.has(topic)) continue;
      this.#warnedTopics.add(topic);
      logger.warn({ topic }, 'No consumer group has ever read this topic: all of its records are kept');
    }
    if (usedBytes() < limits.bytesMax) return;
    const behind = partitions.flatMap(({ topic, partition, end }) =>
      commits.groups(topic).map((group) => {
        const records = end - (commits.of(group, topic).get(partition) ?? 0);
        return { group, topic, partition, records };
      }),
    );
    behind.sort((a, b) => b.records - a.records);
    logger.warn(
      { usedBytes: usedBytes(), behind: behind.slice(0, 3) },
      'The log is full: it waits for these readers',
    );
  }
}
