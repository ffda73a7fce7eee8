/**
 * The system as several processes over a real Kafka and a real Postgres: capture, workers, and a loader with its
 * embedded ClickHouse.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { Metrics } from '../../src/metrics.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import type { EventLog } from '../../src/storage/event-log.ts';
import { openKafkaLog } from '../../src/storage/kafka/log.ts';
import { openPostgres, type Postgres } from '../../src/storage/postgres/pool.ts';
import type { Topic } from '../../src/storage/topics.ts';
import { type KafkaBroker, startKafka } from '../../tools/kafka/broker.ts';
import { plainConnection } from '../../tools/kafka/connection.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { System } from './system.ts';
import { PostgresProxy } from './torture-proxy.ts';

export interface ClusterOptions {
  readonly partitions: number;
  readonly holdSeconds: number;
  /** By default 2. */
  readonly workers?: number;
  /** A broker that runs already; otherwise the cluster has one of its own, which may be killed. */
  readonly kafkaHosts?: string | undefined;
  /** A ClickHouse server; otherwise the loader has an embedded one. */
  readonly clickHouseUrl?: string | undefined;
}

/** What runs beside the processes. */
interface Stores {
  readonly folder: string;
  readonly broker: KafkaBroker | undefined;
  readonly server: EmbeddedPostgres;
  readonly proxies: readonly PostgresProxy[];
  readonly log: EventLog;
  readonly hosts: string;
  readonly prefix: string;
  /** Settings that all processes share. */
  readonly settings: Readonly<Record<string, string>>;
}

const WORKERS = 2;
const STARTS_MAX = 3;

/** As an orchestrator does: a start that fails, because a store does not answer in time, is tried again. */
export async function bringUp(system: System): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      return await system.start();
    } catch (error) {
      if (tries === STARTS_MAX) throw error;
    }
  }
}

export class Cluster {
  readonly capture: System;
  readonly loader: System;
  readonly workers: readonly System[];
  /** Not of the cluster yet: it may join and leave. */
  readonly visitor: System;
  /** Not through the proxy. */
  readonly postgres: Postgres;
  /** The workers' ways to Postgres. */
  readonly proxies: readonly PostgresProxy[];
  /** The cluster's topics, as somebody else sees them. */
  readonly log: EventLog;
  readonly #stores: Stores;

  private constructor(
    stores: Stores,
    systems: Readonly<Record<'capture' | 'loader' | 'visitor', System>>,
    workers: readonly System[],
  ) {
    this.#stores = stores;
    this.postgres = openPostgres({ url: stores.server.url, logger: quietLogger });
    this.proxies = stores.proxies;
    this.log = stores.log;
    this.capture = systems.capture;
    this.loader = systems.loader;
    this.visitor = systems.visitor;
    this.workers = workers;
  }

  /** Starts the stores; no process runs yet. */
  static async create(options: ClusterOptions): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-cluster-'));
    // As root, PostgreSQL runs as another user, who has to reach its folder.
    await chmod(folder, 0o755);
    const [broker, server] = await Promise.all([
      options.kafkaHosts === undefined ? startKafka({ dir: join(folder, 'kafka') }) : undefined,
      startEmbeddedPostgres({ dir: join(folder, 'postgres'), logger: quietLogger }),
    ]);
    const hosts = options.kafkaHosts ?? broker?.hosts ?? '';
    const prefix = `faults-${randomBytes(4).toString('hex')}-`;
    const shared = {
      KAFKA_HOSTS: hosts,
      KAFKA_PREFIX: prefix,
      KAFKA_TOPIC_PARTITIONS: String(options.partitions),
      DATABASE_URL: server.url,
      TRIBUTARY_DEV_PROJECT: 'on',
      TRIBUTARY_WITNESS: 'on',
      BUFFER_CONVERSION_SECONDS: String(options.holdSeconds),
      LOG_LEVEL: 'debug',
    };
    const role = (name: string, settings: Readonly<Record<string, string>> = {}): Promise<System> =>
      System.create({ ...shared, TRIBUTARY_ROLES: name, ...settings });
    const clickHouse: Record<string, string> =
      options.clickHouseUrl === undefined
        ? {}
        : { CLICKHOUSE_URL: options.clickHouseUrl, CLICKHOUSE_INGESTION: 'loader' };
    const systems = {
      capture: await role('capture'),
      loader: await role('loader', clickHouse),
      visitor: await role('worker'),
    };
    const workers: System[] = [];
    const proxies: PostgresProxy[] = [];
    while (workers.length < (options.workers ?? WORKERS)) {
      const target = new URL(server.url);
      const proxy = await PostgresProxy.open(target);
      target.port = String(proxy.port);
      proxies.push(proxy);
      workers.push(await role('worker', { DATABASE_URL: target.href }));
    }
    const log = await openKafkaLog({
      connection: plainConnection(hosts),
      prefix,
      partitions: options.partitions,
      clock: systemClock,
      logger: quietLogger,
      metrics: new Metrics(),
    });
    return new Cluster(
      { folder, broker, server, proxies, log, hosts, prefix, settings: shared },
      systems,
      workers,
    );
  }

  /** Starts every process. Resolves with the milliseconds until all of them were ready. */
  async start(): Promise<number> {
    const all = [this.capture, this.loader, ...this.workers];
    return Math.max(...(await Promise.all(all.map(bringUp))));
  }

  get hosts(): string {
    return this.#stores.hosts;
  }

  /** Its name on the brokers. */
  topicName(topic: Topic): string {
    return `${this.#stores.prefix}${topic}`;
  }

  get settings(): Readonly<Record<string, string>> {
    return this.#stores.settings;
  }

  /** Only of a cluster that has one of its own. */
  get broker(): KafkaBroker {
    if (this.#stores.broker === undefined) throw new Error('the broker is not of this cluster');
    return this.#stores.broker;
  }

  /** kill -9, to the server and what it has started. */
  async killPostgres(): Promise<void> {
    const file = join(this.#stores.folder, 'postgres', 'pgdata', 'postmaster.pid');
    process.kill(Number.parseInt(await readFile(file, 'utf8'), 10), 'SIGKILL');
  }

  startPostgresAgain(): Promise<void> {
    return this.#stores.server.startAgain();
  }

  /** Ends everything. `keep`: leaves the folders as they are, and says where they are. */
  async close(keep: boolean): Promise<readonly string[]> {
    const { folder, broker, server, proxies, log } = this.#stores;
    const systems = [this.capture, this.loader, this.visitor, ...this.workers];
    await Promise.all(systems.map((system) => system.kill()));
    await log.close().catch(() => {});
    await this.postgres.close();
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await broker?.kill();
    await server.stop();
    if (keep) return [folder, ...systems.map(({ dataDir }) => dataDir)];
    await Promise.all(systems.map((system) => system.remove()));
    await rm(folder, { recursive: true, force: true });
    return [];
  }
}
