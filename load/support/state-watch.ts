/** Looks all the time at what must never go back, at who waits for a lock, and at whose each partition is. */
import { sleep, systemClock } from '../../src/clock.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import type { Cluster } from './cluster.ts';
import type { System } from './system.ts';

const EVERY_MS = 100;
const PARTITIONS = `
  SELECT partition, folded_below::int, read_position::int FROM tributary_partition
  WHERE topic = '${INGESTION_TOPIC}' AND log_id NOT LIKE '% until %'`;
const LOCK_WAIT = `
  SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)) * 1000, 0)::int AS ms
  FROM pg_locks WHERE NOT granted`;

interface PartitionRow {
  readonly partition: number;
  readonly folded_below: number;
  readonly read_position: number;
}

export class StateWatch {
  /** What went back. */
  readonly problems: string[] = [];
  /** The longest that anybody was seen to wait for a lock in Postgres. */
  lockWaitMaxMs = 0;
  readonly #cluster: Cluster;
  readonly #most = new Map<string, number>();
  #stopped = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Looks until `stop`. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      // What is away now is back later.
      await Promise.allSettled([this.#lookAtPostgres(), this.#lookAtCommits()]);
      await sleep(systemClock, EVERY_MS);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** From now on smaller numbers are as good as larger ones. */
  forget(): void {
    this.#most.clear();
  }

  async #lookAtPostgres(): Promise<void> {
    const { postgres } = this.#cluster;
    const { rows: waits } = await postgres.query<{ ms: number }>(LOCK_WAIT);
    this.lockWaitMaxMs = Math.max(this.lockWaitMaxMs, waits[0]?.ms ?? 0);
    const { rows } = await postgres.query<PartitionRow>(PARTITIONS);
    for (const { partition, folded_below, read_position } of rows) {
      this.#note(`folded_below of partition ${partition}`, folded_below);
      this.#note(`read_position of partition ${partition}`, read_position);
    }
  }

  async #lookAtCommits(): Promise<void> {
    const committed = await this.#cluster.log.committed('worker', INGESTION_TOPIC);
    for (const [partition, offset] of committed) this.#note(`the commit of partition ${partition}`, offset);
  }

  #note(what: string, value: number): void {
    const most = this.#most.get(what) ?? 0;
    if (value < most) this.problems.push(`${what} went back from ${most} to ${value}`);
    this.#most.set(what, Math.max(most, value));
  }
}

/** A partition in the hands of a worker. */
export interface Taken {
  readonly worker: System;
  readonly epoch: number;
  readonly atMs: number;
}

/** Who took which partition and when, as the workers' logs tell it: by partition, in the order of the epochs. */
export async function takings(workers: readonly System[]): Promise<ReadonlyMap<number, readonly Taken[]>> {
  const found = new Map<number, Taken[]>();
  for (const worker of workers) {
    for (const line of await worker.lines()) {
      if (line['msg'] !== 'partition taken') continue;
      const partition = Number(line['partition']);
      const taken = { worker, epoch: Number(line['epoch']), atMs: timeOf(line['time']) };
      found.set(partition, [...(found.get(partition) ?? []), taken]);
    }
  }
  for (const all of found.values()) all.sort((a, b) => a.epoch - b.epoch);
  return found;
}

const timeOf = (time: unknown): number => (typeof time === 'number' ? time : Date.parse(String(time)));

/** Partitions that this worker was the last one to take. */
export async function partitionsOf(worker: System, workers: readonly System[]): Promise<readonly number[]> {
  const all = await takings(workers);
  return [...all].filter(([, taken]) => taken.at(-1)?.worker === worker).map(([partition]) => partition);
}
