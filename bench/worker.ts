/** The worker, from the log to the output topics, against moving the same records through JSON and nothing else. */
import { TRANSFORMS } from '../src/actors/transforms.ts';
import { startWorker } from '../src/actors/worker.ts';
import { realEnvironment } from '../src/environment.ts';
import { asTeamId } from '../src/event/ids.ts';
import { LIMITS } from '../src/limits.ts';
import { silentLogger } from '../src/logger.ts';
import type { Parts } from '../src/parts.ts';
import type { AppendRecord, EventLog } from '../src/storage/event-log.ts';
import { createPersonStore } from '../src/storage/postgres/person-store.ts';
import type { Team, TeamStore } from '../src/storage/team-store.ts';
import { INGESTION_TOPIC, type Topic } from '../src/storage/topics.ts';
import { type Benchmark, type Contest, cpuOf } from './benchmark.ts';
import { capturedRecord, clientEvent, TOKEN } from './events.ts';
import { gate } from './gate.ts';
import { treeCpuUs } from './process-tree.ts';
import { recordCount, startLog, startPostgres, tempDir, until } from './stores.ts';

/** Multiples of what one append takes: the floor appends full batches only. */
const EVENTS = 20_000;
const PERSONS = 10_000;
/** One in so many events changes a property of its person; the others set what is there already. */
const CHANGES_EVERY = 10;
const PERSON_CACHE_BYTES = 256 * 1024 * 1024;
const ROWS: Topic = 'clickhouse_events_json';

const TEAM: Team = {
  id: asTeamId(1),
  token: TOKEN,
  name: 'bench',
  anonymizeIps: false,
  personProcessingOptOut: false,
};
const teams: TeamStore = { cached: () => TEAM, byToken: async () => TEAM };

export const worker: Benchmark = {
  name: 'worker',
  floor: 'log → JSON.parse → JSON.stringify → log, same batches, no persons',
  eventsPerRound: EVENTS,
  rounds: 6,
  start: startContest,
};

async function startContest(parts: Parts): Promise<Contest> {
  const dir = await tempDir(parts);
  const log = await startLog(parts, dir);
  const { postgres, pid } = await startPostgres(parts, dir);
  const oursGate = gate(log);
  const floorGate = gate(log);
  await parts.start(
    'worker',
    () =>
      startWorker({
        ...realEnvironment(silentLogger),
        log: oursGate.log,
        teams,
        persons: createPersonStore(postgres),
        limits: LIMITS.worker,
        transforms: TRANSFORMS,
        personCacheBytesMax: PERSON_CACHE_BYTES,
        holdMs: 0,
        holdBytesMax: PERSON_CACHE_BYTES,
        onFault: throwLater,
      }),
    (started) => started.close(),
  );
  const floor = await startFloor(floorGate.log);

  // Every person once, so that all of them are known and in memory.
  await append(log, PERSONS, 'first');
  await until(async () => (await recordCount(log, ROWS)) >= PERSONS);
  await until(() => floor.written >= PERSONS);

  let round = 0;
  return {
    async prepare() {
      oursGate.shut();
      floorGate.shut();
      await append(log, EVENTS, `round ${round++}`);
    },
    async ours() {
      const rows = (await recordCount(log, ROWS)) + EVENTS;
      const postgresUs = treeCpuUs(pid);
      const cost = await cpuOf(async () => {
        oursGate.open();
        await until(async () => (await recordCount(log, ROWS)) >= rows);
      });
      oursGate.shut();
      const afterUs = treeCpuUs(pid);
      if (postgresUs === undefined || afterUs === undefined) return cost;
      return { ...cost, others: { Postgres: afterUs - postgresUs } };
    },
    async floor() {
      const written = floor.written + EVENTS;
      const cost = await cpuOf(async () => {
        floorGate.open();
        await until(() => floor.written >= written);
      });
      floorGate.shut();
      return cost;
    },
  };
}

/** Events of all persons in turn. */
async function append(log: EventLog, count: number, mark: string): Promise<void> {
  const records = Array.from({ length: count }, (_, index) => {
    const person = index % PERSONS;
    const visit = index % CHANGES_EVERY === 0 ? mark : 'first';
    return capturedRecord(
      clientEvent({
        distinctId: `person-${person}`,
        $set: { email: `person-${person}@example.com`, plan: 'enterprise', visit },
      }),
    );
  });
  await log.append(records);
}

interface Floor {
  readonly written: number;
}

async function startFloor(log: EventLog): Promise<Floor> {
  const { pollRecordsMax, appendRecordsMax } = LIMITS.worker;
  const floor = { written: 0 };
  let batch: AppendRecord[] = [];
  const subscription = await log.subscribe({
    group: 'floor',
    topics: [INGESTION_TOPIC],
    recordsMax: pollRecordsMax,
    onAssign: async () => 'committed',
    onRevoke: () => {},
    onRecords(_assignment, records) {
      for (const { key, value, timestamp } of records) {
        const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
        const row = Buffer.from(JSON.stringify(JSON.parse(text)));
        // Another topic than ours, so that the two can be told apart.
        batch.push({ topic: 'clickhouse_groups', key, value: row, headers: {}, timestamp });
        if (batch.length >= appendRecordsMax) flush();
      }
    },
    onError: throwLater,
  });
  void subscription;

  function flush(): void {
    const full = batch;
    batch = [];
    log.append(full).then(() => {
      floor.written += full.length;
    }, throwLater);
  }
  return floor;
}

/** Ends the process. */
function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
