/**
 * What the guide is written with: events as an SDK sends them go in, and what is in Postgres and on ClickHouse's topics
 * comes out. Between them are the real capture (without its socket), log, worker and Postgres; only the clock is made.
 *
 *     const { rows, persons, warnings } = await given(t, { event: 'signup', distinct_id: 'ann' });
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { WorkerLimits } from '../../src/actors/session.ts';
import type { Transform } from '../../src/actors/transforms.ts';
import { startWorker, type Worker } from '../../src/actors/worker.ts';
import type { Books } from '../../src/books.ts';
import { systemClock } from '../../src/clock.ts';
import { UNRESTRICTED } from '../../src/event/restriction.ts';
import { derivePersonUuid, deriveRecordUuid } from '../../src/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import { Metrics } from '../../src/metrics.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../../src/storage/embedded/log.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { readBooks } from '../../src/storage/postgres/books.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import type { Team, TeamStore } from '../../src/storage/team-store.ts';
import type { ClickHouseTopic } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { rowsOf } from '../support/clickhouse-rows.ts';
import { GuideClock } from './clock.ts';
import { messagesOn, type PersonSeen, personsIn, type Row, until } from './seen.ts';
import { captured, eventUuid, type Request, type Sent, TEAM, TOKEN } from './sent.ts';
import { emptyPostgres, loadedClickHouse } from './stores.ts';

export { type PersonSeen, type Row, until } from './seen.ts';
export { captured, eventUuid, type Request, type Sent, TEAM, TOKEN, uuidOf } from './sent.ts';

export interface Picture {
  /** Messages on `clickhouse_events_json` in the order of the events, JSON texts in them parsed. */
  readonly rows: readonly Row[];
  /** In the order of their ids. */
  readonly persons: readonly PersonSeen[];
  /** Messages on `clickhouse_ingestion_warnings`, `details` parsed. */
  readonly warnings: readonly Row[];
  readonly books: Books;
}

export interface Options {
  readonly project?: Partial<Pick<Team, 'anonymizeIps' | 'personProcessingOptOut' | 'restrictions'>>;
  /** How long events of unknown ids are held; 0, not at all, unless a test is about the hold. */
  readonly holdMs?: number;
  readonly partitions?: number;
  readonly transforms?: readonly Transform[];
}

/** What a worker does otherwise than the system. */
export interface Changed {
  readonly limits?: Partial<WorkerLimits>;
  /** There are other workers. */
  readonly isShared?: boolean;
}

/** A worker's own view of the store, for tests that hold a call back. */
export type Wrap = (store: PersonStore) => PersonStore;

/** The events in one batch, and what they leave. */
export async function given(t: Test, ...events: readonly Sent[]): Promise<Picture> {
  const system = await startSystem(t);
  await system.send(...events);
  return system.picture();
}

export async function startSystem(t: Test, options: Options = {}): Promise<System> {
  const system = await System.open(t, options);
  await system.startWorker();
  return system;
}

export class System {
  readonly clock = new GuideClock();
  readonly log: EmbeddedLog;
  readonly postgres: Postgres;
  readonly #options: Options;
  readonly #workers = new Set<Worker>();
  #clickhouse: ClickHouse | undefined;
  #appended = 0;
  #uuids = 0;

  private constructor(options: Options, log: EmbeddedLog, postgres: Postgres) {
    this.#options = options;
    this.log = log;
    this.postgres = postgres;
  }

  /** A log and a database, and nobody who works on them. */
  static async open(t: Test, options: Options = {}): Promise<System> {
    const postgres = await emptyPostgres();
    const dir = await mkdtemp(join(tmpdir(), 'tributary-guide-'));
    const { partitions = 1 } = options;
    const log = await openEmbeddedLog({ dir, partitions, clock: systemClock, logger: quietLogger });
    const system = new System(options, log, postgres);
    t.teardown(async () => {
      for (const worker of system.#workers) await system.kill(worker);
      await log.close();
      await rm(dir, { recursive: true, force: true });
    });
    return system;
  }

  /** Every worker takes its share of the partitions. Ends with the test. */
  async startWorker(wrap: Wrap = (store) => store, changed: Changed = {}): Promise<Worker> {
    const worker = await startWorker({
      log: this.log,
      persons: wrap(createPersonStore(this.postgres)),
      teams: teamStore(this.#options.project),
      clock: this.clock,
      derivePersonUuid,
      deriveRecordUuid,
      logger: quietLogger,
      metrics: new Metrics(),
      limits: { ...LIMITS.worker, progressEveryMs: 30, flushLingerMs: 5, ...changed.limits },
      personCacheBytesMax: 64 * 1024 * 1024,
      holdMs: this.#options.holdMs ?? 0,
      holdBytesMax: 64 * 1024 * 1024,
      transforms: this.#options.transforms ?? [],
      isShared: changed.isShared ?? false,
      onFault: (error) => {
        throw error;
      },
    });
    this.#workers.add(worker);
    await worker.taken();
    return worker;
  }

  /** As far as others can see, it has crashed. */
  async kill(worker: Worker): Promise<void> {
    if (this.#workers.delete(worker)) await worker.abandon();
  }

  /** The events as one batch; resolves when each of them is a row, has ended without one, or is held. */
  async send(...events: readonly Sent[]): Promise<void> {
    await this.append(events);
    await this.#books(({ waiting, in_flight }) => waiting + in_flight === 0);
  }

  /** The same without waiting for what becomes of them. */
  async append(events: readonly Sent[], request: Request = {}): Promise<void> {
    const newUuid = () => eventUuid(++this.#uuids);
    await this.appendRecords(captured(events, request, this.clock.now(), newUuid));
  }

  /** Records as capture, or somebody else, writes them. */
  async appendRecords(records: readonly AppendRecord[]): Promise<void> {
    await this.log.append(records);
    this.#appended += records.length;
  }

  /** So much time passes at once. */
  skip(ms: number): void {
    this.clock.skip(ms);
  }

  /** Once everything has ended, but for `held` events that are held. */
  async picture({ held = 0 } = {}): Promise<Picture> {
    const books = await this.#books((now) => now.waiting + now.in_flight === 0 && now.held === held);
    const rows = await this.read('clickhouse_events_json');
    return {
      books,
      rows: rows.toSorted((a, b) => (String(a['uuid']) < String(b['uuid']) ? -1 : 1)),
      persons: await this.persons(),
      warnings: await this.read('clickhouse_ingestion_warnings'),
    };
  }

  persons(): Promise<readonly PersonSeen[]> {
    return personsIn(this.postgres);
  }

  /** The messages of a topic as they were sent, JSON texts in them parsed. */
  read(topic: ClickHouseTopic): Promise<readonly Row[]> {
    return messagesOn(this.log, topic);
  }

  /** Loads what is on the topics into an empty ClickHouse, and gives a way to ask it. */
  async clickhouse(): Promise<(sql: string) => Promise<readonly Row[]>> {
    const loaded = await loadedClickHouse(this.log);
    this.#clickhouse = loaded;
    return (sql) => rowsOf(loaded, sql);
  }

  /** Rows that come to a table of ClickHouse on top of what is there. */
  async insert(table: string, rows: readonly string[]): Promise<void> {
    await this.#clickhouse?.insert(
      table,
      rows.map((row) => Buffer.from(row)),
    );
  }

  async #books(hold: (books: Books) => boolean): Promise<Books> {
    let books: Books | undefined;
    await until(
      () => `the books settle: ${JSON.stringify(books)}`,
      async () => {
        books = await readBooks(this.postgres, this.log);
        return books.acknowledged === this.#appended && hold(books);
      },
    );
    if (books === undefined || books.imbalance !== 0) throw new Error('the books do not balance');
    return books;
  }
}

function teamStore(settings: Options['project']): TeamStore {
  const defaults = { anonymizeIps: false, personProcessingOptOut: false, restrictions: UNRESTRICTED };
  const team: Team = { id: TEAM, token: TOKEN, name: 'guide', ...defaults, ...settings };
  const find = (token: string) => (token === TOKEN ? team : undefined);
  return { cached: find, byToken: async (token) => find(token) };
}
