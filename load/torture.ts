/**
 * kill -9 again and again, at chosen moments, under load from several clients: no gap may lose an event, fold one twice
 * or leave a person as nobody sent it.
 *
 *     npm run torture -- [--minutes 5] [--rate 300] [--each N] [--seed N] [--json]
 *     npm run torture -- --kafka [--workers 3] [--minutes 5] [--rate 100] [--seed N] [--json]
 *
 * `--rate`: events per second of all clients. `--each`: how often every gap has to have been hit. Only what is durable
 * after a kill says which gaps it hit. Exits with 1 if something is not as it must be, and keeps the data then. `--kafka`: several
 * workers on a real Kafka instead, and faults of all kinds.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Books } from '../src/books.ts';
import { sleep, systemClock } from '../src/clock.ts';
import { openClickHouse } from '../src/storage/clickhouse/clickhouse.ts';
import { STORE_FOLDERS } from '../src/stores.ts';
import { tortureKafka } from './support/kafka-torture.ts';
import { countRows, problem } from './support/proof.ts';
import { type Random, seededRandom } from './support/random.ts';
import { takeAim } from './support/torture-aims.ts';
import { GAP_NAMES, type Gap, hitsOf } from './support/torture-gaps.ts';
import { proofProblems } from './support/torture-proof.ts';
import { killLine, printKafkaResult, printResult } from './support/torture-report.ts';
import type { GapCount, Kill, TortureResult } from './support/torture-result.ts';
import { World } from './support/torture-world.ts';

export interface TortureOptions {
  readonly minutes: number;
  /** How often every gap has to have been hit. */
  readonly each: number;
  /** Ends as soon as that is so. */
  readonly isOverEarly: boolean;
  readonly eventsPerSecond: number;
  readonly seed: number;
  readonly onProgress: (line: string) => void;
  /** Ends it without a proof. */
  readonly signal?: AbortSignal;
}

/** One kill in so many comes while the system is still starting. */
const EARLY_KILL_IN = 8;
/** One aim in so many is taken at any gap, and not at the one that was hit least. */
const ANY_GAP_IN = 5;
const LOAD_MIN_MS = 300;
const LOAD_MAX_MS = 1_500;
/** What is waited for may never come. */
const AIM_MS = 4_000;
const LAST_LOAD_MS = 2_000;
const SETTLE_MS = 180_000;
const LOOK_EVERY_MS = 300;
/** Looks in a row at which nothing may be on its way. */
const QUIET_LOOKS = 3;
/** Of a kind. */
const PROBLEMS_SHOWN = 20;
/** About how long a start takes, until one has been measured. */
const START_MS = 2_000;

export async function torture(options: TortureOptions): Promise<TortureResult> {
  const world = await World.create(options);
  let result: TortureResult | undefined;
  try {
    world.launch();
    const readyMs = await world.system.ready();
    options.onProgress(`seed ${options.seed}, ready after ${readyMs} ms`);
    const running = world.clients.map((client) => client.run());
    try {
      result = await new Torture(world, options).run();
    } finally {
      for (const client of world.clients) client.stop();
      await Promise.all(running);
    }
    return result;
  } finally {
    await world.close(result === undefined || result.folders.length > 0);
    if (result === undefined) options.onProgress(`kept: ${world.folders.join(' ')}`);
  }
}

class Torture {
  readonly #world: World;
  readonly #options: TortureOptions;
  readonly #random: Random;
  readonly #kills: Kill[] = [];
  /** What kept it from going on. */
  readonly #failures: string[] = [];
  readonly #startedAt = systemClock.monotonic();

  constructor(world: World, options: TortureOptions) {
    this.#world = world;
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  async run(): Promise<TortureResult> {
    try {
      await this.#killRepeatedly();
    } catch (error) {
      this.#fail(error);
    }
    return this.#finish();
  }

  async #killRepeatedly(): Promise<void> {
    const { follower, system } = this.#world;
    const { minutes, isOverEarly, each } = this.#options;
    let startMs = START_MS;
    let isStarting = false;
    while (this.#minutes() < minutes && follower.problems.length === 0 && !this.#isInterrupted) {
      if (isOverEarly && this.#counts().every(({ hit }) => hit >= each)) break;
      const aim = isStarting ? 'start' : this.#nextAim();
      if (aim === 'start') await sleep(systemClock, this.#random.next() * startMs);
      else await this.#waitFor(aim);
      if (system.hasEnded) throw new Error(`the system has ended by itself:\n${await system.log()}`);
      await this.#kill(aim);
      this.#world.launch();
      isStarting = this.#random.integer(EARLY_KILL_IN) === 0;
      if (!isStarting) startMs = await system.ready();
    }
    if (isStarting) await system.ready();
  }

  get #isInterrupted(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /** A Ctrl-C reaches the system too. */
  #fail(error: unknown): void {
    if (this.#isInterrupted) return;
    this.#failures.push(error instanceof Error ? error.message : String(error));
  }

  async #waitFor(aim: Gap): Promise<void> {
    const { system, clients, proxy, postgres } = this.#world;
    const random = this.#random;
    await sleep(systemClock, LOAD_MIN_MS + random.next() * (LOAD_MAX_MS - LOAD_MIN_MS));
    await this.#world.noteMemory();
    const nextRequest = () => this.#world.nextRequest();
    const sights = { dataDir: system.dataDir, random, clients, proxy, postgres, nextRequest };
    const given = new AbortController();
    const cancel = systemClock.after(AIM_MS, () => given.abort());
    const timedOut = new Promise((resolve) => given.signal.addEventListener('abort', resolve));
    await Promise.race([takeAim(aim, sights, given.signal), timedOut]);
    cancel();
  }

  async #kill(aim: Kill['aim']): Promise<void> {
    const { remains, attempts, logged } = await this.#world.kill();
    const kill: Kill = {
      kill: this.#kills.length + 1,
      aim,
      hits: Object.fromEntries(hitsOf(remains, attempts, logged)),
      acknowledged: this.#acknowledged(),
      atMinutes: this.#minutes(),
    };
    this.#kills.push(kill);
    this.#options.onProgress(killLine(kill, this.#counts()));
  }

  /** Mostly the gap that was hit least. */
  #nextAim(): Gap {
    const counts = this.#counts();
    const least = Math.min(...counts.map(({ hit }) => hit));
    const isAny = this.#random.integer(ANY_GAP_IN) === 0;
    const open = counts.filter(({ hit }) => isAny || hit === least);
    return open[this.#random.integer(open.length)]?.gap ?? 'before append';
  }

  #counts(): readonly GapCount[] {
    return GAP_NAMES.map((gap) => ({
      gap,
      aimed: this.#kills.filter(({ aim }) => aim === gap).length,
      hit: this.#kills.filter(({ hits }) => hits[gap] !== undefined).length,
    }));
  }

  #minutes(): number {
    return (systemClock.monotonic() - this.#startedAt) / 60_000;
  }

  #acknowledged(): number {
    return this.#world.clients.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  async #finish(): Promise<TortureResult> {
    const { follower, clients, folders } = this.#world;
    const { each } = this.#options;
    const rare = this.#isInterrupted ? [] : this.#counts().filter(({ hit }) => hit < each);
    const isGood = follower.problems.length + this.#failures.length === 0 && !this.#isInterrupted;
    const settled = isGood ? await this.#settleAndProve().catch((error) => this.#fail(error)) : undefined;
    const sent = new Set(clients.flatMap((client) => [...client.sent]));
    const problems = [
      ...(this.#isInterrupted ? ['interrupted: nothing was proved'] : []),
      ...this.#failures,
      ...follower.problems.slice(0, PROBLEMS_SHOWN),
      ...(settled?.problems ?? []),
      ...problem(
        [...follower.logged].filter((uuid) => !sent.has(uuid)),
        'events of the log were sent by nobody',
      ),
      ...problem(
        clients.flatMap(({ refusals }) => refusals),
        'requests were refused',
      ),
      ...rare.map(({ gap, hit }) => `the gap "${gap}" was hit ${hit} times, and not ${each}`),
    ];
    return {
      kills: this.#kills,
      gaps: this.#counts(),
      acknowledged: this.#acknowledged(),
      fates: follower.fates,
      persons: follower.oracle.persons.size,
      rowsRepeated: settled?.rowsRepeated ?? 0,
      rssMaxMib: this.#world.rssMax,
      books: settled?.books,
      problems,
      folders: problems.length > 0 && !this.#isInterrupted ? folders : [],
    };
  }

  /** Lets the clients come to an end and everything settle, kills for the last time and looks at what is there. */
  async #settleAndProve(): Promise<{ books: Books; rowsRepeated: number; problems: readonly string[] }> {
    const { system, clients, postgres, follower } = this.#world;
    await sleep(systemClock, LAST_LOAD_MS);
    for (const client of clients) client.stop();
    const books = await this.#quiet();
    const { stored, uuids } = await countRows(system);
    await this.#world.noteMemory();
    await this.#world.kill();
    const clickhouse = await openClickHouse({ dir: join(system.dataDir, STORE_FOLDERS.clickHouse) });
    try {
      const problems = await proofProblems({ postgres, clickhouse }, follower, books);
      return { books, problems, rowsRepeated: stored - uuids };
    } finally {
      await clickhouse.close();
    }
  }

  /** The books when nothing has been on its way for a while. */
  async #quiet(): Promise<Books> {
    const { system } = this.#world;
    const deadline = systemClock.monotonic() + SETTLE_MS;
    for (let looks = 0; ; ) {
      const books = await system.books();
      const loading = await system.metric('tributary_loader_waiting_bytes');
      looks = books.waiting + books.in_flight + books.held + loading === 0 ? looks + 1 : 0;
      if (looks === QUIET_LOOKS) return books;
      if (systemClock.monotonic() > deadline) {
        throw new Error(
          `not settled after ${SETTLE_MS} ms: ${JSON.stringify(books)}, ${loading} bytes to load`,
        );
      }
      await sleep(systemClock, LOOK_EVERY_MS);
    }
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      each: { type: 'string' },
      rate: { type: 'string' },
      kafka: { type: 'boolean', default: false },
      workers: { type: 'string', default: '3' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      json: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(values.minutes);
  const seed = Number(values.seed);
  // A second interrupt ends the process at once.
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  const shared = {
    minutes,
    seed,
    onProgress: (line: string) => void process.stderr.write(`${line}\n`),
    signal: interrupt.signal,
  };
  const print = <Result extends { readonly problems: readonly string[] }>(
    result: Result,
    printed: (seed: number, result: Result) => void,
  ): void => {
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else printed(seed, result);
    process.exitCode = result.problems.length === 0 ? 0 : 1;
  };
  if (values.kafka) {
    const eventsPerSecond = Number(values.rate ?? 100);
    const workers = Number(values.workers);
    print(await tortureKafka({ ...shared, workers, eventsPerSecond }), printKafkaResult);
  } else {
    const eventsPerSecond = Number(values.rate ?? 300);
    const each = Number(values.each ?? (minutes >= 10 ? 10 : 1));
    print(await torture({ ...shared, each, isOverEarly: false, eventsPerSecond }), printResult);
  }
}
