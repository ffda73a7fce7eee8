/** The worker, from the log to the output topics, against moving the same records through JSON and nothing else. */
import { LIMITS } from '../src/limits.ts';
import type { Parts } from '../src/parts.ts';
import type { AppendRecord, EventLog } from '../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../src/storage/topics.ts';
import { type Contest, cpuOf } from './benchmark.ts';
import { beside } from './beside.ts';
import { capturedRecord, clientEvent } from './events.ts';
import { gate } from './gate.ts';
import { ROWS, startRealWorker, throwLater } from './real-worker.ts';
import { recordCount, startLog, startPostgres, tempDir, until } from './stores.ts';

export const FLOOR = 'log → JSON.parse → JSON.stringify → log, same batches, no persons';

/** Of one round. Multiples of what one append takes: the floor appends full batches only. */
export const EVENTS = 20_000;
export const PERSONS = 10_000;
/** One in so many events changes a property of its person; the others set what is there already. */
const CHANGES_EVERY = 10;

/** What a round's client events are, as JSON texts: `EVENTS` of them. */
export type EventsOfRound = (round: number) => readonly string[];

export const personId = (index: number): string => `person-${index % PERSONS}`;

/** What they have at first. */
export const personProperties = (index: number) => ({
  email: `${personId(index)}@example.com`,
  plan: 'enterprise',
  visit: 'first',
});

/** The event at this place where nothing but known persons come, all of them in turn. */
export function visitOf(index: number, round: number): string {
  const $set = personProperties(index);
  if (index % CHANGES_EVERY === 0) $set.visit = `round ${round}`;
  return clientEvent({ distinctId: personId(index), properties: { $set } });
}

export async function startWorkerContest(parts: Parts, eventsOfRound: EventsOfRound): Promise<Contest> {
  const dir = await tempDir(parts);
  const log = await startLog(parts, dir);
  const { postgres, pid } = await startPostgres(parts, dir);
  const oursGate = gate(log);
  const floorGate = gate(log);
  await startRealWorker(parts, oursGate.log, postgres);
  const floor = await startFloor(floorGate.log);

  // Every person once, so that all of them are known and in memory.
  await log.append(Array.from({ length: PERSONS }, (_, index) => capturedRecord(visitOf(index, 0))));
  await until(async () => (await recordCount(log, ROWS)) >= PERSONS);
  await until(() => floor.written >= PERSONS);

  let round = 1;
  return {
    async prepare() {
      oursGate.shut();
      floorGate.shut();
      await log.append(eventsOfRound(round++).map(capturedRecord));
    },
    async ours() {
      const rows = (await recordCount(log, ROWS)) + EVENTS;
      const cost = await beside({ Postgres: pid }, EVENTS, () =>
        cpuOf(async () => {
          oursGate.open();
          await until(async () => (await recordCount(log, ROWS)) >= rows);
        }),
      );
      oursGate.shut();
      return cost;
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
