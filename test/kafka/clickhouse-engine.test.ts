/** ClickHouse's own Kafka engine and the loader, on the same records of a real Kafka, give the same rows. */
import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { deriveRecordUuid } from '../../src/ids.ts';
import { LOADER_GROUP, type RefusedRow, startLoader } from '../../src/loader/loader.ts';
import { watchRefusedRows } from '../../src/loader/refused-watch.ts';
import { Metrics } from '../../src/metrics.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { kafkaEngineStatements } from '../../src/storage/clickhouse/kafka-engine.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { CLICKHOUSE_TABLES } from '../../src/storage/clickhouse/tables.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import type { AppendRecord, EventLog } from '../../src/storage/event-log.ts';
import { openKafkaLog } from '../../src/storage/kafka/log.ts';
import { CLICKHOUSE_TOPICS, type ClickHouseTopic } from '../../src/storage/topics.ts';
import { plainConnection } from '../../tools/kafka/connection.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { ROW, uuidOf } from '../contract/clickhouse.ts';
import { type Row, rowsOf, sorted } from '../support/clickhouse-rows.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { rowRecords } from '../support/row-records.ts';

const prefix = `${randomBytes(4).toString('hex')}.`;
const TIMEOUT_MS = 120_000;
t.setTimeout(600_000);

/** By the loader. */
let loaded: ClickHouse;
/** By the engine: the same server, another database. */
let engine: ClickHouse;
let log: EventLog;
let hosts: readonly string[];

t.before(async () => {
  hosts = (await kafkaHosts()).split(',');
  const dir = `${t.testdir()}/clickhouse`;
  loaded = await openClickHouse({ dir });
  const opened = await openClickHouse({ dir });
  await loaded.command('CREATE DATABASE engine');
  await opened.command('USE engine');
  // Each query has a connection of its own, which begins in the other database.
  const inEngine = (sql: string) =>
    sql.replaceAll('currentDatabase()', "'engine'").replaceAll('FROM events_', 'FROM engine.events_');
  engine = { ...opened, query: (sql) => opened.query(inEngine(sql)) };
  log = await openKafkaLog({
    connection: plainConnection(hosts.join(',')),
    prefix,
    partitions: 2,
    clock: systemClock,
    logger: quietLogger,
    metrics: new Metrics(),
  });
  await migrateClickHouse(loaded, quietLogger);
  await migrateClickHouse(engine, quietLogger, { hosts, prefix });
});
t.teardown(async () => {
  await log?.close();
  for (const { name } of kafkaEngineStatements({ hosts, prefix })) await engine.command(`DROP TABLE ${name}`);
  await engine?.close();
  await loaded?.close();
});

const { _timestamp: _, _offset: __, ...EVENT } = ROW;

/** What no table takes, on every topic. */
const BROKEN: readonly (readonly [ClickHouseTopic, string | Buffer])[] = [
  ['clickhouse_events_json', 'garbage'],
  ['clickhouse_events_json', '[1]'],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, team_id: 'one' })],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, uuid: 'no uuid' })],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, surprise: 1 })],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, $session_id: 's' })],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, person_id: null })],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, person_mode: 'half' })],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, timestamp: '2024-05-01T03:04:05Z' })],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, _offset: 3 })],
  ['clickhouse_events_json', JSON.stringify({ ...EVENT, event: 'x'.repeat(300), team_id: 1.5 })],
  ['clickhouse_events_json', JSON.stringify(EVENT).slice(0, -9)],
  ['clickhouse_events_json', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
  ['clickhouse_events_json', `{"x":"${'ü'.repeat(40_000)}"}`],
  ['clickhouse_person', '{"id":1}'],
  ['clickhouse_person', JSON.stringify({ version: -1 })],
  ['clickhouse_person_distinct_id', JSON.stringify({ version: 'x' })],
  ['clickhouse_groups', JSON.stringify({ group_type_index: 'x' })],
  ['clickhouse_ingestion_warnings', JSON.stringify({ timestamp: 'x' })],
];
const brokenRecords: readonly AppendRecord[] = BROKEN.map(([topic, value], n) => ({
  topic,
  key: String(n),
  value,
  headers: topic === 'clickhouse_events_json' ? { source: `0:${n}` } : {},
  timestamp: Date.now(),
}));

/** Good ones that lack columns, or say more about them than ours do. */
const unusual: readonly AppendRecord[] = unusualRows().map(recordOf);

function unusualRows() {
  return [
    { uuid: uuidOf(1), team_id: 9 },
    { ...EVENT, uuid: uuidOf(2), timestamp: '2024-05-01 03:04:05.123456', team_id: '12' },
    { ...EVENT, uuid: uuidOf(3), timestamp: '1714532646', created_at: 1714532646 },
    { ...EVENT, uuid: uuidOf(4), team_id: -9007199254740993n, historical_migration: 1 },
    { ...EVENT, uuid: uuidOf(5), timestamp: '1901-01-01 00:00:00.000001', person_mode: 2 },
    { ...EVENT, uuid: uuidOf(6), timestamp: '2299-12-31 23:59:59.999999', event: '\u0000 😀 \\ " \' \n' },
  ];
}

function recordOf(row: object, n: number): AppendRecord {
  // A JavaScript number cannot be so large.
  const text = JSON.stringify(row, (_key, value) => (typeof value === 'bigint' ? `BIG${value}` : value));
  return {
    topic: 'clickhouse_events_json',
    key: String(n),
    value: text.replace(/"BIG(-?\d+)"/, '$1'),
    headers: {},
    timestamp: 1_700_000_000_999,
  };
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + TIMEOUT_MS; !(await isTrue()); await delay(200)) {
    if (Date.now() > end) throw new Error(`in ${TIMEOUT_MS / 1000} s not: ${what}`);
  }
}

/** Everything that is on the topics now is in. */
async function drained(groupOf: (topic: ClickHouseTopic) => string): Promise<void> {
  for (const topic of CLICKHOUSE_TOPICS) {
    const offsets = await log.offsets(topic);
    await until(`${groupOf(topic)} has read ${topic}`, async () => {
      const committed = await log.committed(groupOf(topic), topic);
      return offsets.every(({ partition, end }) => (committed.get(partition) ?? 0) >= end);
    });
  }
}

const IS_REFUSED = "error = 'refused_by_clickhouse'";
/** What the ways in may differ in, and what the clock decides. */
const OWN = 'created_at, now, error_timestamp, error_location, _timestamp, _offset, tags';

async function contentsOf(
  clickhouse: ClickHouse,
  database: string,
): Promise<Readonly<Record<string, readonly Row[]>>> {
  const all: Record<string, readonly Row[]> = {};
  for (const table of [...Object.values(CLICKHOUSE_TABLES), 'person_distinct_id_overrides']) {
    const except = table === 'events' ? 'EXCEPT inserted_at' : '';
    const from = `${database}.${table} ${table === 'ingestion_warnings' ? '' : 'FINAL'}`;
    const good = table === 'events_dead_letter_queue' ? `NOT (${IS_REFUSED})` : '1';
    all[table] = sorted(await rowsOf(clickhouse, `SELECT * ${except} FROM ${from} WHERE ${good}`));
  }
  all['refused'] = sorted(
    await rowsOf(
      clickhouse,
      `SELECT * EXCEPT (${OWN}), tags[1] AS source, arraySlice(tags, 3) AS origin
       FROM ${database}.events_dead_letter_queue FINAL WHERE ${IS_REFUSED}`,
    ),
  );
  return all;
}

t.test('the same records become the same rows, and the same ones are refused', async (t) => {
  const seed = randomInt(2 ** 31);
  t.comment(`seed ${seed}`);
  const records = fc.sample(rowRecords, { numRuns: 600, seed });
  const positions = await log.append([...unusual, ...records, ...brokenRecords]);

  await drained((topic) => `clickhouse-${CLICKHOUSE_TABLES[topic]}`);
  const byEngine = await contentsOf(engine, 'engine');

  const refused: RefusedRow[] = [];
  const loader = await startLoader({
    log,
    clickhouse: loaded,
    clock: systemClock,
    metrics: new Metrics(),
    logger: quietLogger,
    onRowRefused: async (row) => void refused.push(row),
  });
  await drained(() => LOADER_GROUP);
  // Its dead letters came later.
  await drained(() => LOADER_GROUP);
  const byLoader = await contentsOf(loaded, 'default');
  await loader.close();

  for (const table of Object.keys(byLoader)) {
    t.ok(byLoader[table]?.length, `${byLoader[table]?.length} rows of ${table}`);
    t.same(byEngine[table], byLoader[table], `${table} is the same`);
  }
  const ids = brokenRecords.map(({ topic }, n) => {
    const { partition, offset } = positions[positions.length - BROKEN.length + n] ?? {
      partition: 0,
      offset: 0,
    };
    return deriveRecordUuid(topic, partition, offset);
  });
  t.same(byEngine['refused']?.map(({ id }) => id).sort(), ids.sort());
});

t.test('the books hear of every event row that ClickHouse refused, and of none but those', async (t) => {
  const counted = new Set<string>();
  const watch = watchRefusedRows({
    clickhouse: engine,
    clock: systemClock,
    logger: quietLogger,
    onRowsRefused: async (sources) => {
      for (const source of sources) counted.add(source);
    },
  });
  const events = BROKEN.filter(([topic]) => topic === 'clickhouse_events_json').length;
  await until('all are counted', async () => counted.size >= events);
  t.same([...counted].sort(), Array.from({ length: events }, (_, n) => `0:${n}`).sort());
  t.same(watch.ready(), { ok: true });
  await watch.close();
});

t.test('a dead letter that does not parse is a dead letter, too', async () => {
  const [position] = await log.append([
    { topic: 'events_dead_letter_queue', key: 'x', value: '{"id":"x"}', headers: {}, timestamp: 1 },
  ]);
  const source = `events_dead_letter_queue:${position?.partition}:${position?.offset}`;
  await until('it is there', async () => {
    const letters = `SELECT raw_payload FROM engine.events_dead_letter_queue WHERE tags[1] = '${source}'`;
    return (await rowsOf(engine, letters))[0]?.['raw_payload'] === '{"id":"x"}';
  });
});

t.test('its columns have the types of the tables', async (t) => {
  const types = (names: string) =>
    rowsOf(
      engine,
      `SELECT name, type FROM system.columns WHERE database = 'engine' AND table = '${names}'
         AND default_kind = '' AND NOT startsWith(name, '_') ORDER BY name`,
    );
  for (const table of Object.values(CLICKHOUSE_TABLES)) {
    t.same(await types(`kafka_${table === 'events' ? 'events_json' : table}`), await types(table), table);
  }
});
