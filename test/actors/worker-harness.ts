/** A worker on the real log and the real Postgres, whose output topics can be read back. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { WorkerLimits } from '../../src/actors/session.ts';
import { TRANSFORMS, type Transform } from '../../src/actors/transforms.ts';
import { startWorker, type Worker } from '../../src/actors/worker.ts';
import type { Books } from '../../src/books.ts';
import { systemClock } from '../../src/clock.ts';
import { type CapturedEvent, captureKey } from '../../src/event/captured.ts';
import { asDistinctId, asEventUuid, asTeamId, asToken, type TeamId } from '../../src/event/ids.ts';
import { UNRESTRICTED } from '../../src/event/restriction.ts';
import { derivePersonUuid, deriveRecordUuid, newEventUuid } from '../../src/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import { Metrics } from '../../src/metrics.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../../src/storage/embedded/log.ts';
import type { EventLog } from '../../src/storage/event-log.ts';
import { DataRefusedError, type PersonStore } from '../../src/storage/person-store.ts';
import { readBooks } from '../../src/storage/postgres/books.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import type { Team, TeamStore } from '../../src/storage/team-store.ts';
import { type ClickHouseTopic, INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { recordsOf } from '../support/clickhouse-rows.ts';
import { withPostgres } from '../support/postgres.ts';

export const TEAM: TeamId = asTeamId(1);
export const TOKEN = asToken('phc_test');

/** For a machine that is busy with other things. */
const SETTLE_TIMEOUT_MS = 60_000;

/** What a test's project is set to otherwise. */
type ProjectSettings = Partial<Pick<Team, 'anonymizeIps' | 'personProcessingOptOut' | 'restrictions'>>;

function teamStore(settings: ProjectSettings): TeamStore {
  const defaults = { anonymizeIps: false, personProcessingOptOut: false, restrictions: UNRESTRICTED };
  const team: Team = { id: TEAM, token: TOKEN, name: 'test', ...defaults, ...settings };
  return {
    cached: (token) => (token === TOKEN ? team : undefined),
    byToken: async (token) => (token === TOKEN ? team : undefined),
  };
}

export interface ClientEvent {
  readonly event: string;
  readonly distinctId: string;
  readonly uuid?: string;
  readonly properties?: Record<string, unknown>;
  readonly timestamp?: string;
  readonly token?: string;
}

export type Row = Readonly<Record<string, unknown>>;

/** What a test sets otherwise than the system does. */
export interface Changed {
  readonly limits?: Partial<WorkerLimits>;
  readonly personCacheBytesMax?: number;
  /** 0, unless a test is about the hold. */
  readonly holdMs?: number;
  readonly holdBytesMax?: number;
  readonly transforms?: readonly Transform[];
  /** In place of the log's own. */
  readonly log?: Partial<Pick<EventLog, 'append' | 'offsets' | 'subscribe'>>;
}

type Wrap = (store: PersonStore) => PersonStore;

export interface Harness {
  readonly log: EmbeddedLog;
  readonly postgres: Postgres;
  readonly metrics: Metrics;
  /** Resolves once the worker has taken its partitions: whoever takes one forgets what it has cached by then. */
  start(wrap?: Wrap, changed?: Changed): Promise<Worker>;
  /** The same without waiting for that. */
  startUntaken(wrap?: Wrap, changed?: Changed): Promise<Worker>;
  /** Appends events as capture would, or would have so long ago; resolves when they are durable. */
  capture(events: readonly ClientEvent[], agoMs?: number): Promise<void>;
  /** What the output topic has, with each record's timestamp as `_timestampMs`. */
  read(topic: ClickHouseTopic): Promise<Row[]>;
  /** The books, once nothing waits or is in flight. */
  settled(records: number): Promise<Books>;
}

/** A store that refuses persons with a property `huge`, as Postgres refuses what breaks a check of its own. */
export const refusing = (store: PersonStore): PersonStore => ({
  ...store,
  async save(partitions, works) {
    const isRefused = works.some(({ folded }) =>
      folded.written.some(({ properties }) => 'huge' in properties),
    );
    if (isRefused) throw new DataRefusedError('check_properties_size');
    return store.save(partitions, works);
  },
});

export async function workerHarness(t: Test, project: ProjectSettings = {}): Promise<Harness> {
  const teams = teamStore(project);
  const { postgres } = await withPostgres(t);
  const dir = await mkdtemp(join(tmpdir(), 'tributary-worker-'));
  const log = await openEmbeddedLog({ dir, partitions: 2, clock: systemClock, logger: quietLogger });
  t.teardown(async () => {
    await log.close();
    await rm(dir, { recursive: true, force: true });
  });
  const metrics = new Metrics();
  const startUntaken = (wrap: Wrap = (store) => store, changed: Changed = {}): Promise<Worker> =>
    startWorker({
      log: { ...log, ...changed.log },
      isShared: true,
      persons: wrap(createPersonStore(postgres)),
      teams,
      clock: systemClock,
      derivePersonUuid,
      deriveRecordUuid,
      logger: quietLogger,
      metrics,
      limits: {
        ...LIMITS.worker,
        progressEveryMs: 50,
        flushLingerMs: 5,
        recoverBackoffMinMs: 10,
        ...changed.limits,
      },
      personCacheBytesMax: changed.personCacheBytesMax ?? 64 * 1024 * 1024,
      holdMs: changed.holdMs ?? 0,
      holdBytesMax: changed.holdBytesMax ?? 64 * 1024 * 1024,
      transforms: changed.transforms ?? TRANSFORMS,
      onFault: (error) => {
        throw error;
      },
    });

  return {
    log,
    postgres,
    metrics,
    startUntaken,
    async start(wrap, changed) {
      const worker = await startUntaken(wrap, changed);
      await worker.taken();
      return worker;
    },

    async capture(events, agoMs = 0) {
      const now = new Date(Date.now() - agoMs);
      await log.append(
        events.map((one) => {
          const captured: CapturedEvent = {
            uuid: one.uuid === undefined ? newEventUuid() : asEventUuid(one.uuid),
            distinct_id: asDistinctId(one.distinctId),
            ip: '203.0.113.9',
            data: JSON.stringify({ event: one.event, properties: one.properties ?? {} }),
            now: now.toISOString(),
            token: asToken(one.token ?? TOKEN),
            event: one.event,
            timestamp: one.timestamp ?? now.toISOString(),
          };
          return {
            topic: INGESTION_TOPIC,
            key: captureKey(captured.token, captured.distinct_id),
            value: Buffer.from(JSON.stringify(captured)),
            headers: {},
            timestamp: now.getTime(),
          };
        }),
      );
    },

    async read(topic) {
      const records = await recordsOf(log, topic);
      return records.map(({ value, timestamp }) => ({
        ...JSON.parse(Buffer.from(value).toString('utf8')),
        _timestampMs: timestamp,
      }));
    },

    async settled(records) {
      const deadline = Date.now() + SETTLE_TIMEOUT_MS;
      for (;;) {
        const books = await readBooks(postgres, log);
        if (books.acknowledged === records && books.waiting === 0 && books.in_flight === 0) return books;
        if (Date.now() > deadline) throw new Error(`the books did not settle: ${JSON.stringify(books)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}
