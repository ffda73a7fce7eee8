/** The loader, from the log into ClickHouse, against nothing but the inserts that it made. */
import { join } from 'node:path';
import { realEnvironment } from '../src/environment.ts';
import { decodeCaptured, openEvent } from '../src/event/event.ts';
import { asDistinctId, asTeamId } from '../src/event/ids.ts';
import { eventRow, type PersonOnRow } from '../src/event/rows.ts';
import { derivePersonUuid } from '../src/ids.ts';
import { LOADER_GROUP, startLoader } from '../src/loader/loader.ts';
import { silentLogger } from '../src/logger.ts';
import type { Parts } from '../src/parts.ts';
import { openClickHouse } from '../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse } from '../src/storage/clickhouse/migrate.ts';
import type { ClickHouse } from '../src/storage/clickhouse-port.ts';
import type { AppendRecord, EventLog } from '../src/storage/event-log.ts';
import type { Topic } from '../src/storage/topics.ts';
import { type Benchmark, type Contest, cpuOf } from './benchmark.ts';
import { capturedRecord, clientEvent } from './events.ts';
import { gate } from './gate.ts';
import { recordCount, startLog, tempDir, until } from './stores.ts';

const ROWS = 20_000;
const PERSONS = 1_000;
const TEAM = asTeamId(1);
const TABLE = 'events';
const TOPIC: Topic = 'clickhouse_events_json';

export const loader: Benchmark = {
  name: 'loader',
  floor: 'the same inserts through @clickhouse/client, rows ready in memory',
  unit: 'µs',
  eventsPerRound: ROWS,
  rounds: 5,
  start: startContest,
};

type Batch = readonly Uint8Array[];

async function startContest(parts: Parts): Promise<Contest> {
  const dir = await tempDir(parts);
  const clickhouse = await startClickHouse(parts, dir);
  const log = await startLog(parts, dir);
  const { log: gated, open, shut } = gate(log);
  let inserted: Batch[] = [];
  const recording: ClickHouse = {
    ...clickhouse,
    async insert(table, rows) {
      await clickhouse.insert(table, rows);
      inserted.push(rows);
    },
  };
  await parts.start(
    'loader',
    () =>
      startLoader({
        ...realEnvironment(silentLogger),
        log: gated,
        clickhouse: recording,
        onRowRefused: async ({ detail }) => throwLater(new Error(`ClickHouse refused a row: ${detail}`)),
      }),
    (started) => started.close(),
  );
  const allLoaded = async () => (await loadedCount(log)) === (await recordCount(log, TOPIC));
  await log.append(rowRecords());
  await until(allLoaded);

  let batches = inserted;
  return {
    async prepare() {
      shut();
      await clickhouse.command(`TRUNCATE TABLE ${TABLE}`);
      await log.append(rowRecords());
    },
    async ours() {
      inserted = [];
      const cost = await cpuOf(async () => {
        open();
        await until(allLoaded);
      });
      shut();
      batches = inserted;
      return cost;
    },
    floor: () =>
      cpuOf(async () => {
        for (const batch of batches) await clickhouse.insert(TABLE, batch);
      }),
  };
}

async function startClickHouse(parts: Parts, dir: string): Promise<ClickHouse> {
  const clickhouse = await parts.start(
    'ClickHouse',
    () => openClickHouse({ dir: join(dir, 'clickhouse') }),
    (started) => started.close(),
  );
  await migrateClickHouse(clickhouse, silentLogger);
  // They would work in this process at any time, for whoever is being measured.
  await clickhouse.command(`SYSTEM STOP MERGES ${TABLE}`);
  return clickhouse;
}

/** What the worker makes of events of 1 KB. */
function rowRecords(): AppendRecord[] {
  return Array.from({ length: ROWS }, (_, index) => {
    const distinctId = asDistinctId(`person-${index % PERSONS}`);
    const captured = capturedRecord(clientEvent({ distinctId }));
    const decoded = decodeCaptured(Buffer.from(captured.value).toString());
    if ('malformed' in decoded) throw new Error(decoded.malformed);
    const event = openEvent(decoded, TEAM, captured.timestamp);
    const person: PersonOnRow = {
      uuid: derivePersonUuid(TEAM, distinctId),
      createdAtMs: captured.timestamp,
      properties: JSON.stringify({ email: `${distinctId}@example.com`, plan: 'enterprise' }),
      mode: 'full',
    };
    const row = eventRow(event, JSON.stringify(event.properties), '', person, []);
    const headers = { source: `0:${index}` };
    return { topic: TOPIC, key: event.uuid, value: Buffer.from(row), headers, timestamp: captured.timestamp };
  });
}

async function loadedCount(log: EventLog): Promise<number> {
  const committed = await log.committed(LOADER_GROUP, TOPIC);
  return [...committed.values()].reduce((sum, offset) => sum + offset, 0);
}

/** Ends the process. */
function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
