/** One process of the world: the real worker and the real loader, with a memory of their own. */
import { startWorker, type Worker, type WorkerOptions } from '../../src/actors/worker.ts';
import { type Loader, startLoader } from '../../src/loader/loader.ts';
import type { Logger } from '../../src/logger.ts';
import {
  type Assignment,
  type EventLog,
  LogUnavailableError,
  type Subscriber,
  type Subscription,
  type TopicPartition,
} from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import type { Random } from './random.ts';
import { clickHouseOf } from './sim-clickhouse.ts';
import type { Member } from './sim-log-member.ts';
import { personStoreOf } from './sim-store.ts';
import { SimTail } from './sim-tail.ts';
import { type Ends, Wire } from './sim-wire.ts';
import { derivePersonUuid, teams, type World } from './world.ts';

/** What a process brings along. */
export type ProcessOptions = Pick<
  WorkerOptions,
  'limits' | 'holdMs' | 'holdBytesMax' | 'personCacheBytesMax'
>;

export class RolledBackError extends Error {
  /** As Postgres calls it. */
  readonly code: string;

  constructor(code: string) {
    super(`rolled back: ${code === DEADLOCK ? 'deadlock detected' : 'could not serialize access'}`);
    this.code = code;
  }
}
const DEADLOCK = '40P01';
const SERIALIZATION_FAILURE = '40001';

const lost = (): Error => new Error('the connection was lost');
const LOG: Ends = { lost: () => new LogUnavailableError('the connection was lost') };
const CLICKHOUSE: Ends = { lost };
const READS: Ends = { lost };
const TAIL: Ends = { lost, isSure: true };

export class Process {
  readonly #world: World;
  readonly #wire: Wire;
  readonly #random: Random;
  readonly #members: Member[] = [];
  readonly name: string;
  #worker: Worker | undefined;
  #loader: Loader | undefined;

  private constructor(world: World) {
    this.#world = world;
    this.name = world.nextName();
    const { random, weather } = world.options;
    this.#random = random.fork();
    this.#wire = new Wire({
      clock: world.clock,
      random: this.#random,
      weather,
      onStep: (name) => world.onStep(name, this),
    });
  }

  static async start(world: World, options: ProcessOptions): Promise<Process> {
    const process = new Process(world);
    const log = process.#log();
    const logger = process.#logger();
    const clock = process.#wire.clock;
    const { metrics } = world.options;
    process.#loader = await startLoader({
      log,
      clickhouse: clickHouseOf(world.clickhouse, (name, insert) =>
        process.#wire.call(name, insert, CLICKHOUSE),
      ),
      clock,
      metrics,
      logger,
      onRowRefused: async ({ detail }) => void world.faults.push(`ClickHouse refused a row: ${detail}`),
    });
    process.#worker = await startWorker({
      ...options,
      isShared: true,
      log,
      persons: process.#persons(),
      teams,
      clock,
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

  get isFrozen(): boolean {
    return this.#wire.isFrozen;
  }

  /** Whether such a call is on its way. */
  hasSent(name: string): boolean {
    return this.#wire.hasSent(name);
  }

  /** As kill -9: nothing more is heard of it. What it has sent may still arrive. */
  kill(): void {
    if (this.#wire.isCut) return;
    this.#wire.cut();
    for (const member of this.#members) member.die();
    // Gives its memory back, once the call in which it died is over; nobody hears of it.
    this.#world.clock.after(0, () => void this.#worker?.abandon().catch(() => {}));
  }

  async close(): Promise<void> {
    await this.#worker?.close();
    await this.#loader?.close();
    this.#wire.cut();
  }

  /** As SIGSTOP. */
  freeze(): void {
    this.#wire.freeze();
    for (const member of this.#members) member.freeze();
  }

  /** As SIGCONT. */
  thaw(): void {
    this.#wire.thaw(() => {
      for (const member of this.#members) member.thaw();
    });
  }

  /** Its groups go on without it, and it does not know. */
  expel(): void {
    for (const member of this.#members) this.#world.log.expel(member);
  }

  readmit(): void {
    for (const member of this.#members) this.#world.log.readmit(member);
  }

  /** Postgres has gone away, and is back: nobody knows what became of what was on its way. */
  breakStore(): void {
    this.#wire.breakConnections(READS);
    this.#wire.breakConnections(this.#writes);
  }

  readonly #writes: Ends = {
    lost,
    rolledBack: (random) => {
      const code = random.pick([DEADLOCK, SERIALIZATION_FAILURE]);
      this.#world.onRolledBack(code === DEADLOCK ? 'deadlock' : 'serialization failure');
      return new RolledBackError(code);
    },
  };

  #persons() {
    const wire = this.#wire;
    const { store } = this.#world;
    return personStoreOf(store, {
      read: (name, run) => wire.call(name, run, READS),
      write: (name, run) => wire.call(name, run, this.#writes),
      onSave: (works, run) => this.#world.onSave(this, works, run),
    });
  }

  #log(): EventLog {
    const { log } = this.#world;
    const wire = this.#wire;
    return {
      identity: () => log.identity(),
      trouble: () => log.trouble(),
      partitionCount: () => log.partitionCount(),
      append: (records) => wire.call('append', () => log.append(records), LOG),
      offsets: (topic) => wire.call('offsets', () => log.offsets(topic), LOG),
      committed: (group, topic) => wire.call('committed', () => log.committed(group, topic), LOG),
      tail: (topics, onRecords) => {
        const { clock, options } = this.#world;
        const tail = new SimTail(clock, this.#random.fork(), options.tail, (records) =>
          wire.hear('tail', () => onRecords(records)),
        );
        return wire.call('tail', () => log.tail(topics, (records) => tail.receive(records)), TAIL);
      },
      close: async () => {},
      subscribe: (subscriber) => this.#subscribe(subscriber),
    };
  }

  async #subscribe(subscriber: Subscriber): Promise<Subscription> {
    const wire = this.#wire;
    const channel = `group ${subscriber.group}`;
    /** Numbers of the assignments that the process knows of: while it was frozen there may have been others. */
    const heard = new Map<string, number>();
    const member = await this.#world.log.subscribe({
      ...subscriber,
      onAssign: (at: Assignment) =>
        new Promise((resolve, reject) =>
          wire.hear(channel, () => {
            heard.set(nameOf(at), at.generation);
            subscriber.onAssign(at).then(resolve, reject);
          }),
        ),
      onRevoke: (at) =>
        wire.hear(channel, () => {
          heard.delete(nameOf(at));
          subscriber.onRevoke(at);
        }),
      onError: (error) => subscriber.onError(error),
      onRecords: (at, records) => {
        if (at.topic === INGESTION_TOPIC) this.#world.onDelivered(this, records);
        subscriber.onRecords(at, records);
      },
    });
    this.#members.push(member);
    const steer = (at: TopicPartition, act: () => void) => {
      if (heard.get(nameOf(at)) === member.generationOf(at)) act();
    };
    return {
      pause: (at) => steer(at, () => member.pause(at)),
      resume: (at) => steer(at, () => member.resume(at)),
      rewind: (at, offset) => steer(at, () => member.rewind(at, offset)),
      commit: (assignment, offset) => wire.call('commit', () => member.commit(assignment, offset), LOG),
      close: () => member.close(),
    };
  }

  #logger(): Logger {
    const write = (fields: Readonly<Record<string, unknown>>, message: string) => {
      if (this.isAlive) this.#world.note(`${this.name}: ${message} ${JSON.stringify(fields)}`);
    };
    return { debug: write, info: write, warn: write, error: write };
  }
}

const nameOf = ({ topic, partition }: TopicPartition): string => `${topic} ${partition}`;
