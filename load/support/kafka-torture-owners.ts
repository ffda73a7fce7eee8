/** Whose each partition is, by what the workers' logs and Postgres say. */
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import type { Cluster } from './cluster.ts';
import { takings } from './state-watch.ts';
import type { System } from './system.ts';

const EPOCHS = `
  SELECT partition, epoch::float8 AS epoch FROM tributary_partition
  WHERE topic = '${INGESTION_TOPIC}' AND log_id NOT LIKE '% until %'`;

async function epochs(postgres: Postgres): Promise<ReadonlyMap<number, number>> {
  const { rows } = await postgres.query<{ partition: number; epoch: number }>(EPOCHS);
  return new Map(rows.map(({ partition, epoch }) => [partition, epoch]));
}

/** Partitions that the worker has taken, and that nobody has taken after it; it may be dead or stopped. */
export async function ownedBy({ postgres }: Cluster, worker: System): Promise<readonly number[]> {
  const [taken, now] = await Promise.all([takings([worker]), epochs(postgres)]);
  return [...taken]
    .filter(([partition, all]) => all.at(-1)?.epoch === now.get(partition))
    .map(([partition]) => partition);
}
