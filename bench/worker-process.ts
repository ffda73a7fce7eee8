/** A process with the role worker and nothing else: `worker-process.ts '<WorkerOrder as JSON>'`. */
import { readConfig } from '../src/config.ts';
import { realEnvironment } from '../src/environment.ts';
import { silentLogger } from '../src/logger.ts';
import { Parts } from '../src/parts.ts';
import { openStores } from '../src/roles/stores.ts';
import { startLagWatch, startWorkerRole } from '../src/roles/worker.ts';
import { createTeamStore } from '../src/storage/postgres/teams.ts';
import { gate } from './gate.ts';
import type { KafkaPlace } from './kafka.ts';
import { obey } from './measured-child.ts';
import { until } from './stores.ts';

export interface WorkerOrder {
  readonly kafka: KafkaPlace;
  readonly databaseUrl: string;
  /** It is up once it has so many partitions. */
  readonly partitions: number;
}

const { kafka, databaseUrl, partitions }: WorkerOrder = JSON.parse(process.argv[2] ?? '');
const config = readConfig({
  TRIBUTARY_ROLES: 'worker',
  KAFKA_HOSTS: kafka.hosts,
  KAFKA_PREFIX: kafka.prefix,
  KAFKA_TOPIC_PARTITIONS: String(kafka.partitions),
  DATABASE_URL: databaseUrl,
  BUFFER_CONVERSION_SECONDS: '0',
});
const parts = new Parts(silentLogger);
const environment = realEnvironment(silentLogger);
const stores = await openStores(config, parts, environment);
const teams = createTeamStore(stores.postgres.postgres, environment.clock, silentLogger);
const { log, open, shut } = gate(stores.log.log);
const gated = { ...stores, log: { ...stores.log, log } };
const worker = await startWorkerRole(config, parts, environment, gated, teams);
await startLagWatch(config, parts, environment, stores, worker);
await until(() => worker.standings().length === partitions);
await worker.taken();
shut();
obey({}, { onBegin: open, onEnd: shut });
