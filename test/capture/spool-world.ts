/** A log that fails by chance, a disk that forgets what was not synced, and processes that die: for tests of the spool. */
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type SpoolFiles, spoolFiles } from '../../src/capture/spool/files.ts';
import { Spool } from '../../src/capture/spool/spool.ts';
import { SpoolingLog, type SpoolingLogOptions } from '../../src/capture/spool/spooling-log.ts';
import { systemClock } from '../../src/clock.ts';
import { type AppendRecord, LogUnavailableError } from '../../src/storage/event-log.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

export type Chance = () => number;

const NEVER = new Promise<never>(() => {});

interface Pending {
  readonly records: readonly AppendRecord[];
  readonly signal: AbortSignal | undefined;
  readonly client: { isDead: boolean };
  isOver: boolean;
  resolve(): void;
  reject(error: Error): void;
}

/** Takes appends one after another, as a lane of Kafka's producer does. */
export class ChancyLog {
  readonly records: AppendRecord[] = [];
  /** For its own sake. */
  refuses: (value: string) => boolean = () => false;
  isAway = false;
  /** How often an append gets no answer, half of the time after it was written. */
  failures = 0;
  readonly #chance: Chance;
  readonly #queue: Pending[] = [];
  #isWorking = false;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  append(
    records: readonly AppendRecord[],
    signal?: AbortSignal,
    client: { isDead: boolean } = { isDead: false },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { records, signal, client, isOver: false, resolve, reject };
      this.#queue.push(pending);
      setTimeout(() => {
        pending.isOver = true;
        reject(new LogUnavailableError('no answer'));
      }, 60);
      if (!this.#isWorking) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let [first] = this.#queue; first !== undefined; [first] = this.#queue) {
      await pause(this.#chance() * 2);
      if (first.isOver || first.client.isDead || first.signal?.aborted) {
        this.#queue.shift();
        continue;
      }
      if (this.isAway) continue;
      // A request of which nobody hears is sent again, as it stays at the head.
      const isUnheard = this.#chance() < this.failures;
      if (isUnheard && this.#chance() < 0.5) continue;
      const bad = first.records.find(({ value }) => this.refuses(Buffer.from(value).toString()));
      if (bad !== undefined) {
        this.#queue.shift();
        first.reject(new RangeError('the log refuses a record'));
        continue;
      }
      this.records.push(...first.records);
      if (isUnheard) continue;
      this.#queue.shift();
      first.resolve();
    }
    this.#isWorking = false;
  }
}

/** What was written to one file. */
interface Written {
  synced: number;
  written: number;
  close(): Promise<void>;
}

/** One process: it ends by `die` as by kill -9 with the power off. */
export class Process {
  readonly log: SpoolingLog;
  readonly #world: World;
  readonly #life: { isDead: boolean };
  readonly #unsynced: Map<number, Written>;

  private constructor(
    world: World,
    log: SpoolingLog,
    life: { isDead: boolean },
    unsynced: Process['unsynced'],
  ) {
    this.#world = world;
    this.log = log;
    this.#life = life;
    this.#unsynced = unsynced;
  }

  get unsynced(): Map<number, Written> {
    return this.#unsynced;
  }

  static async start(world: World): Promise<Process> {
    const life = { isDead: false };
    const unsynced: Process['unsynced'] = new Map();
    const files = mortal(spoolFiles(world.dir), life, unsynced);
    const { bytesMax, ...limits } = { ...SMALL, ...world.limits };
    const spool = await Spool.open({ files, limits: { ...limits, bytesMax }, logger: quietLogger });
    const log = new SpoolingLog({
      log: {
        async append(records, signal) {
          if (life.isDead) return NEVER;
          await world.log.append(records, signal, life);
          return [];
        },
      },
      spool,
      clock: systemClock,
      logger: quietLogger,
      limits,
      onDeadLetter: () => void world.deadLetters++,
      onDamaged: (bytes) => {
        world.damagedBytes += bytes;
      },
    });
    return new Process(world, log, life, unsynced);
  }

  async die(): Promise<void> {
    this.#life.isDead = true;
    for (const [number, { synced, written, close }] of this.#unsynced) {
      await close().catch(() => {});
      const length = synced + Math.floor(this.#world.chance() * (written - synced + 1));
      const path = join(this.#world.dir, `${String(number).padStart(16, '0')}.spool`);
      await truncate(path, length).catch(() => {});
    }
  }
}

export const SMALL = {
  bytesMax: 1_000_000,
  segmentBytesMax: 1_500,
  groupBytesMax: 1_000,
  appendTimeoutMs: 20,
  drainRecordsMax: 4,
  drainBytesMax: 10_000,
  switchBytesMax: 500,
  switchTimeoutMs: 20,
  retryBackoffMinMs: 1,
  retryBackoffMaxMs: 5,
  readTriesMax: 3,
  closeMs: 1_000,
};

export class World {
  readonly dir: string;
  readonly chance: Chance;
  readonly log: ChancyLog;
  readonly limits: Partial<typeof SMALL & SpoolingLogOptions['limits']>;
  deadLetters = 0;
  damagedBytes = 0;

  constructor(dir: string, chance: Chance, limits: World['limits'] = {}) {
    this.dir = dir;
    this.chance = chance;
    this.limits = limits;
    this.log = new ChancyLog(chance);
  }
}

/** The disk of a process: nothing that is asked of it after its death happens, and nothing comes back. */
function mortal(files: SpoolFiles, life: { isDead: boolean }, unsynced: Process['unsynced']): SpoolFiles {
  const living = async <T>(act: () => Promise<T>): Promise<T> => {
    if (life.isDead) return NEVER;
    const result = await act();
    return life.isDead ? NEVER : result;
  };
  return {
    list: () => living(() => files.list()),
    read: (number) => living(() => files.read(number)),
    truncate: (number, bytes) => living(() => files.truncate(number, bytes)),
    remove: (number) => living(() => files.remove(number)),
    putAside: (number) => living(() => files.putAside(number)),
    async create(number) {
      const file = await living(async () => {
        const created = await files.create(number);
        if (life.isDead) await created.close();
        return created;
      });
      const state = { synced: 0, written: 0, close: () => file.close() };
      unsynced.set(number, state);
      return {
        write: (bytes) =>
          living(async () => {
            await file.write(bytes);
            state.written += bytes.length;
          }),
        sync: () =>
          living(async () => {
            const { written } = state;
            await file.sync();
            if (!life.isDead) state.synced = written;
          }),
        truncate: (bytes) => living(() => file.truncate(bytes)),
        async close() {
          await file.close();
        },
      };
    },
  };
}

/** A small generator of chance: the same for the same seed. */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
