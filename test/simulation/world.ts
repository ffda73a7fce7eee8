/** What processes share: the log, the store, ClickHouse and the time. A process is a value with its own memory. */
import { startWorker, type Worker, type WorkerOptions } from '../../src/actors/worker.ts';
import { asPersonUuid, asTeamId, asToken, type DerivePersonUuid } from '../../src/event/ids.ts';
import { type Loader, startLoader } from '../../src/loader/loader.ts';
import type { Logger } from '../../src/logger.ts';
import type { Metrics } from '../../src/metrics.ts';
import {
  type EventLog,
  type LogRecord,
  LogUnavailableError,
  type Subscription,
} from '../../src/storage/event-log.ts';
import type { TeamStore } from '../../src/storage/team-store.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import type { Random } from './random.ts';
import { clickHouseOf, SimClickHouse } from './sim-clickhouse.ts';
import { SimClock } from './sim-clock.ts';
import { SimLog } from './sim-log.ts';
import { personStoreOf, SimStore } from './sim-store.ts';
import { type Weather, Wire } from './sim-wire.ts';

export const EPOCH_MS = Date.UTC(2026, 0, 1);
export const TEAM = asTeamId(1);
export const TOKEN = asToken('phc_simulated');

/** Of the person that is made for a distinct id. Readable, so that a failure is. */
export const uuidFor = (distinctId: string): string => `of-${encodeURIComponent(distinctId)}`;
const derivePersonUuid: DerivePersonUuid = (_teamId, distinctId) => asPersonUuid(uuidFor(distinctId));

const team = {
  id: TEAM,
  token: TOKEN,
  name: 'simulated',
  anonymizeIps: false,
  personProcessingOptOut: false,
};
const cached: TeamStore['cached'] = (token) => (token === TOKEN ? team : undefined);
const teams: TeamStore = { cached, byToken: async (token) => (token === TOKEN ? team : undefined) };

export interface WorldOptions {
  readonly partitions: number;
  readonly mergeIdsMax: number;
  readonly random: Random;
  readonly weather: Weather;
  readonly metrics: Metrics;
}

/** What a process brings along. */
export type ProcessOptions = Pick<
  WorkerOptions,
  'limits' | 'holdMs' | 'holdBytesMax' | 'personCacheBytesMax'
>;

export class World {
  readonly clock = new SimClock(EPOCH_MS);
  readonly log: SimLog;
  readonly store: SimStore;
  readonly clickhouse = new SimClickHouse();
  readonly options: WorldOptions;
  /** What happened, line by line. */
  readonly trace: { readonly atMs: number; readonly line: string }[] = [];
  /** What must never happen. */
  readonly faults: string[] = [];
  /** A process can die here. */
  onStep: (name: string, process: Process) => void = () => {};
  onDelivered: (process: Process, records: readonly LogRecord[]) => void = () => {};

  constructor(options: WorldOptions) {
    this.options = options;
    this.log = new SimLog({
      clock: this.clock,
      partitions: options.partitions,
      identity: 'simulated',
      trimmedBy: 'worker',
    });
    this.store = new SimStore(() => this.clock.now(), options.mergeIdsMax);
  }

  note(line: string): void {
    this.trace.push({ atMs: this.clock.monotonic(), line });
  }
}

export class Process {
  readonly #world: World;
  readonly #wire: Wire;
  readonly #subscriptions: Subscription[] = [];
  #worker: Worker | undefined;
  #loader: Loader | undefined;

  private constructor(world: World) {
    this.#world = world;
    const { random, weather } = world.options;
    this.#wire = new Wire({
      clock: world.clock,
      random,
      weather,
      onStep: (name) => world.onStep(name, this),
    });
  }

  static async start(world: World, options: ProcessOptions): Promise<Process> {
    const process = new Process(world);
    const call = process.#wire.call.bind(process.#wire);
    const log = process.#log();
    const logger = process.#logger();
    const { metrics } = world.options;
    process.#loader = await startLoader({
      log,
      clickhouse: clickHouseOf(world.clickhouse, call),
      clock: process.#wire.clock,
      metrics,
      logger,
      onRowRefused: async ({ detail }) => void world.faults.push(`ClickHouse refused a row: ${detail}`),
    });
    process.#worker = await startWorker({
      ...options,
      log,
      isShared: true,
      persons: personStoreOf(world.store, call),
      teams,
      clock: process.#wire.clock,
      derivePersonUuid,
      deriveRecordUuid: (topic, partition, offset) => `${topic}:${partition}:${offset}`,
      logger,
      metrics,
      transforms: [],
      onFault: (error) => {
        if (process.#wire.isCut) return;
        world.faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
      },
    });
    return process;
  }

  get isAlive(): boolean {
    return !this.#wire.isCut;
  }

  /** Whether such a call is on its way. */
  hasSent(name: string): boolean {
    return this.#wire.hasSent(name);
  }

  /** As kill -9: nothing more is heard of it. What it has sent may still arrive. */
  kill(): void {
    if (this.#wire.isCut) return;
    this.#wire.cut();
    for (const subscription of this.#subscriptions) this.#world.log.drop(subscription);
    // Gives its memory back, once the call in which it died is over; nobody hears of it.
    this.#world.clock.after(0, () => void this.#worker?.abandon().catch(() => {}));
  }

  async close(): Promise<void> {
    await this.#worker?.close();
    await this.#loader?.close();
    this.#wire.cut();
  }

  #log(): EventLog {
    const { log } = this.#world;
    const wire = this.#wire;
    const call: typeof wire.call = (name, happen) =>
      wire.call(name, happen, () => new LogUnavailableError('the connection was lost'));
    return {
      identity: () => log.identity(),
      trouble: () => log.trouble(),
      partitionCount: () => log.partitionCount(),
      append: (records) => call('append', () => log.append(records)),
      offsets: (topic) => call('offsets', () => log.offsets(topic)),
      committed: (group, topic) => call('committed', () => log.committed(group, topic)),
      tail: (topics, onRecords) => log.tail(topics, (records) => wire.hear(() => onRecords(records))),
      close: async () => {},
      subscribe: async (subscriber) => {
        const subscription = await log.subscribe({
          ...subscriber,
          onAssign: (at) => subscriber.onAssign(at),
          onRevoke: (at) => subscriber.onRevoke(at),
          onError: (error) => subscriber.onError(error),
          onRecords: (at, records) => {
            if (at.topic === INGESTION_TOPIC) this.#world.onDelivered(this, records);
            subscriber.onRecords(at, records);
          },
        });
        this.#subscriptions.push(subscription);
        return {
          pause: (at) => subscription.pause(at),
          resume: (at) => subscription.resume(at),
          rewind: (at, offset) => subscription.rewind(at, offset),
          commit: (assignment, offset) => call('commit', () => subscription.commit(assignment, offset)),
          close: () => subscription.close(),
        };
      },
    };
  }

  #logger(): Logger {
    const write = (fields: Readonly<Record<string, unknown>>, message: string) => {
      if (this.isAlive) this.#world.note(`${message} ${JSON.stringify(fields)}`);
    };
    return { debug: write, info: write, warn: write, error: write };
  }
}
