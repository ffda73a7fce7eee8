/**
 * kill -9, SIGSTOP and rebalances at random, under a load made to collide, on a real Kafka with several workers: round
 * after round, some processes at once. In the end the oracle follows the witness of all workers.
 */
import { join } from 'node:path';
import type { Books } from '../../src/books.ts';
import { sleep, systemClock } from '../../src/clock.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { STORE_FOLDERS } from '../../src/stores.ts';
import { Cluster } from './cluster.ts';
import { settleCluster } from './cluster-proof.ts';
import { FAULT_KINDS, type FaultKind } from './kafka-torture-faults.ts';
import { ownedBy } from './kafka-torture-owners.ts';
import { KafkaTortureReader } from './kafka-torture-reader.ts';
import { type FaultCount, type KafkaTortureResult, troublesOf } from './kafka-torture-result.ts';
import { playRound } from './kafka-torture-round.ts';
import { countRows, problem } from './proof.ts';
import { type Random, seededRandom } from './random.ts';
import { TortureClient } from './torture-client.ts';
import { TortureEvents } from './torture-events.ts';
import { Follower } from './torture-follow.ts';
import { proofProblems } from './torture-proof.ts';
import { Rivals } from './torture-rivals.ts';
import { readProgress, readWitness } from './torture-saves.ts';

export interface KafkaTortureOptions {
  readonly minutes: number;
  readonly workers: number;
  /** Of all clients. */
  readonly eventsPerSecond: number;
  readonly seed: number;
  /** A broker that runs already; otherwise it has one of its own. */
  readonly kafkaHosts?: string | undefined;
  readonly onProgress: (line: string) => void;
  /** Ends it before its time; what has happened until then is proved. */
  readonly signal?: AbortSignal;
}

const CLIENTS = 5;
const BATCH = 8;
const MEETINGS_PER_SECOND = 4;
const PEOPLE = { present: 8, eventsPerPerson: 40, devices: 4 };
const PARTITIONS_PER_WORKER = 2;
const HOLD_SECONDS = 5;
const LOAD_MIN_MS = 1_000;
const LOAD_SPREAD_MS = 2_500;
const STEADY_MS = 180_000;
const SETTLE_MS = 180_000;
const POLL_MS = 200;
/** Of a kind that is found record by record. */
const PROBLEMS_SHOWN = 20;

export async function tortureKafka(options: KafkaTortureOptions): Promise<KafkaTortureResult> {
  const { workers, kafkaHosts } = options;
  const partitions = PARTITIONS_PER_WORKER * workers;
  const cluster = await Cluster.create({ partitions, workers, holdSeconds: HOLD_SECONDS, kafkaHosts });
  let isGood = false;
  let folders: readonly string[] = [];
  let result: Omit<KafkaTortureResult, 'folders'>;
  try {
    result = await new KafkaTorture(cluster, options).run();
    isGood = result.problems.length === 0;
  } finally {
    folders = await cluster.close(!isGood);
    if (folders.length > 0) options.onProgress(`kept: ${folders.join(' ')}`);
  }
  return { ...result, folders };
}

class KafkaTorture {
  readonly #cluster: Cluster;
  readonly #options: KafkaTortureOptions;
  readonly #random: Random;
  readonly #clients: readonly TortureClient[];
  readonly #rivals: Rivals;
  readonly #follower = new Follower();
  readonly #noted: { readonly kind: FaultKind; readonly isHit: boolean }[] = [];
  /** What kept it from going on. */
  readonly #failures: string[] = [];
  readonly #startedAt = systemClock.monotonic();
  #rounds = 0;

  constructor(cluster: Cluster, options: KafkaTortureOptions) {
    const { seed, eventsPerSecond } = options;
    const { captureUrl } = cluster.capture;
    this.#cluster = cluster;
    this.#options = options;
    this.#random = seededRandom(seed);
    // All know the same people.
    const events = new TortureEvents(seededRandom(seed + 1), 'all', PEOPLE);
    this.#clients = Array.from(
      { length: CLIENTS },
      (_, index) =>
        new TortureClient({
          captureUrl,
          random: seededRandom(seed + 2 + index),
          events,
          batch: BATCH,
          eventsPerSecond: eventsPerSecond / CLIENTS,
          isPatient: true,
        }),
    );
    const random = seededRandom(seed + 2 + CLIENTS);
    this.#rivals = new Rivals({ captureUrl, events, random, meetingsPerSecond: MEETINGS_PER_SECOND });
  }

  async run(): Promise<Omit<KafkaTortureResult, 'folders'>> {
    this.#report(`seed ${this.#options.seed}, ready after ${await this.#cluster.start()} ms`);
    const reader = await KafkaTortureReader.open(this.#cluster.log);
    const running = [...this.#clients, this.#rivals].map((client) => client.run());
    const stopClients = async (): Promise<void> => {
      for (const client of [...this.#clients, this.#rivals]) client.stop();
      await Promise.all(running);
    };
    try {
      await this.#hitRepeatedly(reader);
      await stopClients();
      this.#report(`${this.#acknowledged} events were answered 200; settling`);
      const books = await settleCluster(this.#cluster, reader, SETTLE_MS);
      return await this.#prove(reader, books);
    } catch (error) {
      this.#failures.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
      return await this.#result([], undefined, 0);
    } finally {
      await stopClients();
      await reader.close().catch(() => {});
    }
  }

  async #hitRepeatedly(reader: KafkaTortureReader): Promise<void> {
    const { minutes, signal } = this.#options;
    await this.#steady(reader);
    while (this.#minutes < minutes && signal?.aborted !== true) {
      this.#rounds += 1;
      const from = this.#noted.length;
      const blow = {
        cluster: this.#cluster,
        random: this.#random,
        note: (kind: FaultKind, isHit: boolean) => void this.#noted.push({ kind, isHit }),
      };
      await playRound(blow, this.#counts());
      const seconds = await this.#steady(reader);
      const what = this.#noted.slice(from).map(({ kind, isHit }) => `${kind}${isHit ? '' : ' (no hit)'}`);
      const { length } = this.#noted.filter(({ isHit }) => isHit);
      this.#report(`round ${this.#rounds}: ${what.join('; ')}; steady after ${seconds} s; ${length} hits`);
      await sleep(systemClock, LOAD_MIN_MS + this.#random.next() * LOAD_SPREAD_MS);
    }
  }

  /** Resolves once all workers have partitions, and new rows come; with the seconds that this took. */
  async #steady(reader: KafkaTortureReader): Promise<string> {
    const startedAt = systemClock.monotonic();
    const elapsedMs = (): number => systemClock.monotonic() - startedAt;
    const rows = reader.rows.length;
    const { workers, loader } = this.#cluster;
    for (;;) {
      const owned = await Promise.all(workers.map((worker) => ownedBy(this.#cluster, worker)));
      const counts = owned.map(({ length }) => length);
      const ended = workers.find(({ hasEnded }) => hasEnded);
      if (ended !== undefined) throw new Error(`a worker ended by itself:\n${await ended.log()}`);
      if (reader.stopped !== undefined) throw new Error(`the reader of the log stopped: ${reader.stopped}`);
      const isSteady =
        counts.reduce((sum, count) => sum + count, 0) === workers.length * PARTITIONS_PER_WORKER;
      if (isSteady && !counts.includes(0) && reader.rows.length > rows) break;
      if (elapsedMs() > STEADY_MS) {
        const books = JSON.stringify(await loader.books().catch(String));
        throw new Error(`not steady after ${STEADY_MS} ms: ${counts.join()} partitions, ${books}`);
      }
      await sleep(systemClock, POLL_MS);
    }
    return (elapsedMs() / 1_000).toFixed(1);
  }

  async #prove(reader: KafkaTortureReader, books: Books): Promise<Omit<KafkaTortureResult, 'folders'>> {
    const { postgres, loader } = this.#cluster;
    const { stored, uuids } = await countRows(loader);
    const { code } = await loader.stop();
    if (code !== 0) this.#failures.push(`the loader ended with ${code}`);
    const witnessed = await readWitness(postgres, 0);
    this.#report(`following ${witnessed.length} saves of ${reader.records.size} records`);
    const ingested = [...reader.records.values()].sort(
      (a, b) => a.partition - b.partition || a.offset - b.offset,
    );
    const { rows: produced, deadLetters } = reader;
    this.#follower.follow({ ingested, produced, deadLetters }, witnessed, await readProgress(postgres));
    const clickhouse = await openClickHouse({ dir: join(loader.dataDir, STORE_FOLDERS.clickHouse) });
    try {
      const problems = await proofProblems({ postgres, clickhouse }, this.#follower, books);
      return await this.#result(
        [...this.#sentProblems(), ...problems],
        books,
        witnessed.length,
        stored - uuids,
      );
    } finally {
      await clickhouse.close();
    }
  }

  /** What was answered 200 is in the log, and nothing else than what was sent. */
  #sentProblems(): readonly string[] {
    const { logged } = this.#follower;
    const all = [...this.#clients, ...this.#rivals.clients];
    const sent = new Set(all.flatMap((client) => [...client.sent]));
    return [
      ...problem(
        all.flatMap((client) => client.takeAcknowledged()).filter((uuid) => !logged.has(uuid)),
        'events were answered 200, and are not in the log',
      ),
      ...problem(
        [...logged].filter((uuid) => !sent.has(uuid)),
        'events of the log were sent by nobody',
      ),
      ...problem(
        all.flatMap(({ refusals }) => refusals),
        'requests were refused',
      ),
    ];
  }

  async #result(
    problems: readonly string[],
    books: Books | undefined,
    saves: number,
    rowsRepeated = 0,
  ): Promise<Omit<KafkaTortureResult, 'folders'>> {
    const { workers, visitor } = this.#cluster;
    const lines = (await Promise.all([...workers, visitor].map((worker) => worker.lines()))).flat();
    const found = this.#follower.problems;
    return {
      faults: this.#counts(),
      rounds: this.#rounds,
      acknowledged: this.#acknowledged,
      meetings: this.#rivals.counts,
      fates: this.#follower.fates,
      persons: this.#follower.oracle.persons.size,
      troubles: troublesOf(lines),
      saves,
      rowsRepeated,
      books,
      problems: [
        ...this.#failures,
        ...found.slice(0, PROBLEMS_SHOWN),
        ...(found.length > PROBLEMS_SHOWN ? [`and ${found.length - PROBLEMS_SHOWN} more of these`] : []),
        ...problems,
      ],
    };
  }

  #counts(): readonly FaultCount[] {
    return FAULT_KINDS.map((fault) => {
      const done = this.#noted.filter(({ kind }) => kind === fault);
      return { fault, done: done.length, hit: done.filter(({ isHit }) => isHit).length };
    });
  }

  get #minutes(): number {
    return (systemClock.monotonic() - this.#startedAt) / 60_000;
  }

  get #acknowledged(): number {
    return [...this.#clients, ...this.#rivals.clients].reduce(
      (sum, { acknowledged }) => sum + acknowledged,
      0,
    );
  }

  #report(line: string): void {
    this.#options.onProgress(`${this.#minutes.toFixed(1).padStart(5)} min  ${line}`);
  }
}
