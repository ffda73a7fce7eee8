/**
 * What the guide is written with: events as an SDK sends them go in, and what is in Postgres and on ClickHouse's topics
 * comes out. Between them are the real capture (without its socket), log, worker and Postgres; only the clock is made.
 *
 *     const { rows, persons, warnings } = await given(t, { event: 'signup', distinct_id: 'ann' });
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tap, { type Test } from 'tap';
import type { WorkerLimits } from '../../src/actors/session.ts';
import type { Transform } from '../../src/actors/transforms.ts';
import { startWorker, type Worker } from '../../src/actors/worker.ts';
import type { Books } from '../../src/books.ts';
import { takeEvents } from '../../src/capture/events.ts';
import { Refusal } from '../../src/capture/refusal.ts';
import { shapeOf } from '../../src/capture/shape.ts';
import { systemClock } from '../../src/clock.ts';
import { asDistinctId, asEventUuid, asTeamId, asToken } from '../../src/event/ids.ts';
import type { Json, JsonObject } from '../../src/event/json.ts';
import { derivePersonUuid, deriveRecordUuid } from '../../src/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import { startLoader } from '../../src/loader/loader.ts';
import { silentLogger } from '../../src/logger.ts';
import { Metrics } from '../../src/metrics.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../../src/storage/embedded/log.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { readBooks } from '../../src/storage/postgres/books.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import type { Team, TeamStore } from '../../src/storage/team-store.ts';
import { CLICKHOUSE_TOPICS, type ClickHouseTopic } from '../../src/storage/topics.ts';
import { recordsOf, rowsOf } from '../support/clickhouse-rows.ts';
import { withPostgres } from '../support/postgres.ts';
import { GuideClock } from './clock.ts';

export const TEAM = asTeamId(1);
export const TOKEN = asToken('phc_guide');

/** An event as an SDK puts it into a batch. */
export interface Sent {
  readonly event: string;
  readonly distinct_id: Json;
  readonly properties?: JsonObject;
  readonly [field: string]: Json | undefined;
}

/** What a request says beside its events. */
export interface Request {
  /** The client's clock when it sent the request. */
  readonly sent_at?: string;
  readonly historical_migration?: boolean;
}

export type Row = Readonly<Record<string, unknown>>;

/** A person as Postgres has it. */
export interface PersonSeen {
  /** Its distinct ids in order, with blanks between them. */
  readonly ids: string;
  readonly uuid: string;
  readonly is_identified: boolean;
  readonly version: number;
  readonly created_at: string;
  /** All but `$creator_event_uuid`, which every person has. */
  readonly properties: JsonObject;
  /** Uuid of the event that made the person. */
  readonly creator: unknown;
}

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
  readonly project?: Partial<Pick<Team, 'anonymizeIps' | 'personProcessingOptOut'>>;
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

/** The uuid of the person that is made for this id. */
export const uuidOf = (distinctId: string): string => derivePersonUuid(TEAM, asDistinctId(distinctId));

/** The events get these uuids one after another, from 1 on, unless they bring their own. */
export const eventUuid = (number: number) =>
  asEventUuid(`00000000-0000-7000-8000-${String(number).padStart(12, '0')}`);

/** The events in one batch, and what they leave. */
export async function given(t: Test, ...events: readonly Sent[]): Promise<Picture> {
  const system = await startSystem(t);
  await system.send(...events);
  return system.picture();
}

/** What capture puts on the log for a batch that comes at `nowMs` from `ip`: pure. */
export function captured(
  events: readonly Sent[],
  request: Request,
  nowMs: number,
  newUuid: () => ReturnType<typeof eventUuid>,
): readonly AppendRecord[] {
  const text = JSON.stringify({ api_key: TOKEN, batch: events, ...request });
  const batch = shapeOf(JSON.parse(text));
  if (batch instanceof Refusal) throw new Error(batch.text);
  const context = { token: TOKEN, ip: '203.0.113.9', now: nowMs, sentAtQuery: '', isEngage: false };
  const taken = takeEvents(batch, text, context, newUuid, LIMITS.capture);
  if (taken instanceof Refusal) throw new Error(taken.text);
  return taken.records;
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
    const log = await openEmbeddedLog({ dir, partitions, clock: systemClock, logger: silentLogger });
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
      logger: silentLogger,
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

  async persons(): Promise<readonly PersonSeen[]> {
    const { rows } = await this.postgres.query<Omit<PersonSeen, 'creator'>>(PERSONS);
    return rows.map((row) => {
      const { $creator_event_uuid: creator, ...properties } = row.properties;
      return { ...row, properties, creator };
    });
  }

  /** The messages of a topic as they were sent, JSON texts in them parsed. */
  async read(topic: ClickHouseTopic): Promise<readonly Row[]> {
    const records = await recordsOf(this.log, topic);
    return records
      .toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
      .map(({ value }) => parsed(JSON.parse(Buffer.from(value).toString('utf8'))));
  }

  /** Loads what is on the topics into an empty ClickHouse, and gives a way to ask it. */
  async clickhouse(): Promise<(sql: string) => Promise<readonly Row[]>> {
    clickhouse ??= embeddedClickHouse();
    const target = await clickhouse;
    for (const table of TABLES) await target.command(`TRUNCATE TABLE ${table}`);
    const loader = await startLoader({
      log: this.log,
      clickhouse: target,
      clock: systemClock,
      metrics: new Metrics(),
      logger: silentLogger,
      onRowRefused: async ({ detail }) => {
        throw new Error(detail);
      },
    });
    await until('everything is in ClickHouse', () => this.#isLoaded());
    await loader.close();
    return (sql) => rowsOf(target, sql);
  }

  /** Rows that come to a table on top of what is there. */
  async insert(table: string, rows: readonly string[]): Promise<void> {
    const target = await clickhouse;
    await target?.insert(
      table,
      rows.map((row) => Buffer.from(row)),
    );
  }

  async #isLoaded(): Promise<boolean> {
    for (const topic of CLICKHOUSE_TOPICS) {
      const committed = await this.log.committed('loader', topic);
      const ends = await this.log.offsets(topic);
      if (ends.some(({ partition, end }) => (committed.get(partition) ?? 0) < end)) return false;
    }
    return true;
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

const PERSONS = `
  SELECT p.uuid, p.is_identified, p.version::int AS version, p.properties,
    to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS created_at,
    coalesce(string_agg(d.distinct_id, ' ' ORDER BY d.distinct_id COLLATE "C"), '') COLLATE "C" AS ids
  FROM posthog_person p LEFT JOIN posthog_persondistinctid d ON d.person_id = p.id
  GROUP BY p.id ORDER BY 6`;

/** Fields of messages that hold JSON as text. */
const JSON_TEXT = /^(details|(person_|group_|group\d_)?properties)$/;

const parsed = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'string' && JSON_TEXT.test(name) ? JSON.parse(value) : value,
    ]),
  );

function teamStore(settings: Options['project']): TeamStore {
  const defaults = { anonymizeIps: false, personProcessingOptOut: false };
  const team: Team = { id: TEAM, token: TOKEN, name: 'guide', ...defaults, ...settings };
  const find = (token: string) => (token === TOKEN ? team : undefined);
  return { cached: find, byToken: async (token) => find(token) };
}

const TABLES = [
  'events',
  'person',
  'person_distinct_id2',
  'person_distinct_id_overrides',
  'groups',
  'ingestion_warnings',
  'events_dead_letter_queue',
];

let database: ReturnType<typeof withPostgres> | undefined;

/** One for each file; every system begins with empty tables. */
async function emptyPostgres(): Promise<Postgres> {
  database ??= withPostgres(tap);
  const { postgres } = await database;
  const { rows } = await postgres.query<{ tables: string }>(
    `SELECT string_agg(quote_ident(tablename), ', ') AS tables FROM pg_tables
     WHERE schemaname = 'public' AND tablename <> 'tributary_migration'`,
  );
  await postgres.query(`TRUNCATE ${rows[0]?.tables} RESTART IDENTITY`);
  return postgres;
}

/** chdb has one data folder for each process. */
let clickhouse: Promise<ClickHouse> | undefined;

async function embeddedClickHouse(): Promise<ClickHouse> {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-guide-clickhouse-'));
  const opened = await openClickHouse({ dir });
  await migrateClickHouse(opened, silentLogger);
  tap.teardown(async () => {
    await opened.close();
    await rm(dir, { recursive: true, force: true });
  });
  return opened;
}

const DEADLINE_MS = 15_000;
const POLL_MS = 10;

/** Asks until it is so. `what`: what was waited for, for the error. */
export async function until(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) {
      throw new Error(`not within ${DEADLINE_MS} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
