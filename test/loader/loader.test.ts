/** The loader on the real log and the real ClickHouse; only weather is made. */
import t from 'tap';
import { sleep, systemClock } from '../../src/clock.ts';
import { deriveRecordUuid } from '../../src/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import { LOADER_GROUP, type LoaderOptions, type RefusedRow, startLoader } from '../../src/loader/loader.ts';
import { Metrics } from '../../src/metrics.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import { openEmbeddedLog } from '../../src/storage/embedded/log.ts';
import type { AppendRecord, EventLog } from '../../src/storage/event-log.ts';
import type { ClickHouseTopic } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { ROW, uuidOf } from '../contract/clickhouse.ts';
import { until } from '../support/event-log.ts';

const { _timestamp: _, _offset: __, ...EVENT } = ROW;
const T0 = 1_714_532_646_789;

const dir = t.testdir();
let clickhouse: ClickHouse;
let log: EventLog;
let logs = 0;

t.before(async () => {
  clickhouse = await openClickHouse({ dir: `${dir}/clickhouse` });
  await migrateClickHouse(clickhouse, quietLogger);
});
t.teardown(() => clickhouse.close());
t.beforeEach(async () => {
  log = await openEmbeddedLog({
    dir: `${dir}/log${logs++}`,
    partitions: 4,
    clock: systemClock,
    logger: quietLogger,
  });
  for (const table of ['events', 'events_dead_letter_queue', 'person_distinct_id2']) {
    await clickhouse.command(`TRUNCATE TABLE ${table}`);
  }
});
t.afterEach(() => log.close());

function start(options: Partial<LoaderOptions> = {}) {
  return startLoader({
    log,
    clickhouse,
    clock: systemClock,
    metrics: new Metrics(),
    logger: quietLogger,
    onRowRefused: async () => {},
    ...options,
  });
}

function record(row: object | string, over: Partial<AppendRecord> = {}): AppendRecord {
  const value = Buffer.from(typeof row === 'string' ? row : JSON.stringify(row));
  const key = typeof row === 'string' ? null : String('uuid' in row ? row.uuid : '');
  return { topic: 'clickhouse_events_json', key, value, headers: {}, timestamp: T0, ...over };
}

const event = (n: number, over: object = {}) => record({ ...EVENT, uuid: uuidOf(n), ...over });

async function rowsOf(sql: string): Promise<readonly unknown[]> {
  const text = await clickhouse.query(sql);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Milliseconds until the event is a row. */
async function untilRow(n: number): Promise<number> {
  const begunAtMs = performance.now();
  await until(async () => (await rowsOf(`SELECT 1 FROM events WHERE uuid = '${uuidOf(n)}'`)).length > 0);
  return performance.now() - begunAtMs;
}

const countOf = (table: string) => rowsOf(`SELECT count() AS n FROM ${table}`);

/** Everything of the topic is committed. */
async function drained(topic: ClickHouseTopic = 'clickhouse_events_json'): Promise<void> {
  await until(async () => {
    const committed = await log.committed(LOADER_GROUP, topic);
    const offsets = await log.offsets(topic);
    return offsets.every(({ partition, end }) => (committed.get(partition) ?? 0) === end);
  });
}

/** The ClickHouse of this test, with something done before each insert. */
const withWeather = (before: (table: string, rows: readonly Uint8Array[]) => Promise<void>): ClickHouse => ({
  ...clickhouse,
  async insert(table, rows) {
    await before(table, rows);
    return clickhouse.insert(table, rows);
  },
});

t.test('a lone record is a row within a few tenths of a second, with its time and offset', async (t) => {
  const loader = await start();
  const [position] = await log.append([event(1)]);
  const tookMs = [await untilRow(1)];
  t.ok((tookMs[0] ?? 0) >= LIMITS.loader.lingerMinMs - 5, `${tookMs} ms`);
  // On a machine that is busy with other things not at every try.
  for (let n = 2; n <= 20 && Math.min(...tookMs) >= LIMITS.loader.lingerMaxMs; n++) {
    await drained();
    await log.append([event(n)]);
    tookMs.push(await untilRow(n));
  }
  t.ok(Math.min(...tookMs) < LIMITS.loader.lingerMaxMs, `${tookMs} ms`);
  t.match(await rowsOf(`SELECT uuid, _timestamp, _offset FROM events WHERE uuid = '${uuidOf(1)}'`), [
    { uuid: uuidOf(1), _timestamp: '2024-05-01 03:04:06', _offset: position?.offset },
  ]);
  await drained();
  await loader.close();
});

t.test('the partition is kept where the table has a column for it', async (t) => {
  const loader = await start();
  const mapping = { team_id: 1, distinct_id: 'ann', person_id: EVENT.person_id, is_deleted: 0, version: 0 };
  const [position] = await log.append([
    record(mapping, { topic: 'clickhouse_person_distinct_id', key: '1:ann' }),
  ]);
  await drained('clickhouse_person_distinct_id');
  t.match(await rowsOf('SELECT _partition FROM person_distinct_id2'), [{ _partition: position?.partition }]);
  await loader.close();
});

t.test('a burst goes in whole, in large batches, and of each uuid the last record wins', async (t) => {
  const sizes: number[] = [];
  const loader = await start({
    clickhouse: withWeather(async (_table, rows) => {
      sizes.push(rows.length);
    }),
  });
  const repeats = Array.from({ length: 20_000 }, (_, n) => event(n % 5_000, { elements_chain: `turn ${n}` }));
  for (let from = 0; from < repeats.length; from += 2_000)
    await log.append(repeats.slice(from, from + 2_000));
  await drained();
  t.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    20_000,
  );
  t.ok(sizes.length < 30, `${sizes.length} batches`);
  const turns = 'SELECT count() AS n, min(toInt64(substring(elements_chain, 6))) AS first FROM events FINAL';
  t.same(await rowsOf(turns), [{ n: 5_000, first: 15_000 }]);
  await loader.close();
});

t.test(
  'a refused row is a dead letter that the event leads to, and the rest of its batch goes in',
  async (t) => {
    const told: RefusedRow[] = [];
    let committedThen: ReadonlyMap<number, number> = new Map();
    const loader = await start({
      async onRowRefused(refused) {
        if (told.push(refused) === 1) throw new Error('Postgres is away');
        committedThen = await log.committed(LOADER_GROUP, 'clickhouse_events_json');
      },
    });
    const bad = record(
      { ...EVENT, uuid: uuidOf(7), timestamp: 'yesterday' },
      { headers: { source: '2:41' } },
    );
    const positions = await log.append([
      ...Array.from({ length: 50 }, (_, n) => event(100 + n)),
      bad,
      event(8),
    ]);
    const at = positions[50];
    await drained();
    await drained('events_dead_letter_queue');
    t.same(await countOf('events'), [{ n: 51 }]);

    const source = `clickhouse_events_json:${at?.partition}:${at?.offset}`;
    t.match(await rowsOf('SELECT * FROM events_dead_letter_queue FINAL'), [
      {
        id: deriveRecordUuid('clickhouse_events_json', at?.partition ?? -1, at?.offset ?? -1),
        event_uuid: uuidOf(7),
        event: '$pageview',
        distinct_id: 'ann',
        team_id: 1,
        error: 'refused_by_clickhouse',
        error_location: 'loader',
        raw_payload: bad.value.toString(),
        tags: [source, /reading the value of key timestamp/],
      },
    ]);
    t.equal(told.length, 2, 'told until it was taken');
    t.match(told[1], {
      ...at,
      topic: 'clickhouse_events_json',
      source: '2:41',
      reason: 'refused_by_clickhouse',
    });
    t.notOk((committedThen.get(at?.partition ?? -1) ?? 0) > (at?.offset ?? -1), 'before the commit');
    await loader.close();
  },
);

t.test('every kind of broken record ends as one dead letter', async (t) => {
  const loader = await start();
  const broken = [
    '',
    '{}',
    '[]',
    'nonsense}',
    '{"uuid":"x}',
    JSON.stringify({ ...EVENT, _offset: 1 }),
    JSON.stringify({ ...EVENT, uuid: 'z' }),
    JSON.stringify({ ...EVENT, surprise: { deep: [1] } }),
    `{"event":"${'x'.repeat(900_000)}","uuid":1}`,
    JSON.stringify({ ...EVENT, event: '?' }).replace('?', '\\ud800'),
  ].map((text) => record(text));
  const binary = { ...record(''), value: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]) };
  await log.append([...broken, binary, event(1)]);
  await drained();
  await drained('events_dead_letter_queue');
  t.same(await countOf('events'), [{ n: 1 }]);
  t.same(await countOf('events_dead_letter_queue FINAL'), [{ n: broken.length + 1 }]);
  t.same(await rowsOf("SELECT raw_payload AS raw FROM events_dead_letter_queue WHERE raw LIKE 'base64:%'"), [
    { raw: 'base64:e//+fQ==' },
  ]);
  const longest = await rowsOf('SELECT max(length(raw_payload)) AS bytes FROM events_dead_letter_queue');
  t.same(longest, [{ bytes: LIMITS.worker.deadLetterPayloadBytesMax }]);
  await loader.close();
});

t.test('a refused dead letter is not made a dead letter again', async (t) => {
  const told: RefusedRow[] = [];
  const metrics = new Metrics();
  const loader = await start({
    metrics,
    onRowRefused: async (refused) => void told.push(refused),
  });
  await log.append([record('{"id":"nonsense"}', { topic: 'events_dead_letter_queue' })]);
  await drained('events_dead_letter_queue');
  const ends = (await log.offsets('events_dead_letter_queue')).map(({ end }) => end);
  t.equal(Math.max(...ends), 1);
  t.same(told, []);
  t.match(await metrics.text(), /tributary_loader_refused_rows_total\{table="events_dead_letter_queue"\} 1/);
  await loader.close();
});

t.test(
  'while ClickHouse is away nothing is lost or committed, and it says that it is not ready',
  async (t) => {
    let isAway = true;
    const loader = await start({
      clickhouse: withWeather(async () => {
        if (isAway) throw new Error('connection refused');
      }),
    });
    await log.append([event(1), event(2)]);
    await until(() => !loader.ready().ok);
    t.match(loader.ready(), { ok: false, detail: /insert into events: connection refused/ });
    t.same(loader.health(), { ok: true });
    t.equal((await log.committed(LOADER_GROUP, 'clickhouse_events_json')).size, 0);
    isAway = false;
    await drained();
    t.same(await countOf('events'), [{ n: 2 }]);
    t.same(loader.ready(), { ok: true });
    await loader.close();
  },
);

t.test('memory is bounded while ClickHouse is away: the log keeps the rest', async (t) => {
  let isAway = true;
  const metrics = new Metrics();
  const loader = await start({
    metrics,
    clickhouse: withWeather(async () => {
      if (isAway) throw new Error('connection refused');
    }),
  });
  const big = { ...EVENT, properties: JSON.stringify({ pad: 'x'.repeat(100_000) }) };
  for (let batch = 0; batch < 12; batch++) {
    await log.append(
      Array.from({ length: 100 }, (_, n) => record({ ...big, uuid: uuidOf(batch * 100 + n) })),
    );
  }
  const waiting = async () => Number(/waiting_bytes\{table="events"\} (\d+)/.exec(await metrics.text())?.[1]);
  await until(async () => (await waiting()) > LIMITS.loader.waitingBytesMax / 2);
  // Long enough for more to come, if it does.
  await sleep(systemClock, 300);
  t.ok((await waiting()) < 100_000_000, `${await waiting()} bytes wait`);
  isAway = false;
  await drained();
  t.same(await countOf('events'), [{ n: 1_200 }]);
  await loader.close();
});

t.test('a commit that fails is tried again', async () => {
  let failures = 3;
  const flaky: EventLog = {
    ...log,
    async subscribe(subscriber) {
      const subscription = await log.subscribe(subscriber);
      const commit: typeof subscription.commit = async (assignment, offset) => {
        if (failures-- > 0) throw new Error('no answer');
        return subscription.commit(assignment, offset);
      };
      return {
        pause: (at) => subscription.pause(at),
        resume: (at) => subscription.resume(at),
        rewind: (at, offset) => subscription.rewind(at, offset),
        commit,
        close: () => subscription.close(),
      };
    },
  };
  const loader = await start({ log: flaky });
  await log.append([event(1)]);
  await drained();
  await loader.close();
});

t.test('closing is quick, also in bad weather, and the next start goes on where it was', async (t) => {
  const away = await start({ clickhouse: withWeather(() => Promise.reject(new Error('away'))) });
  await log.append([event(1), event(2)]);
  await until(() => !away.ready().ok);
  const startedAt = performance.now();
  await away.close();
  t.ok(performance.now() - startedAt < LIMITS.process.stopTimeoutMs);

  const first = await start();
  await drained();
  await log.append([event(3)]);
  await first.close();
  const second = await start();
  await drained();
  t.same(
    await rowsOf('SELECT uuid FROM events ORDER BY uuid'),
    [1, 2, 3].map((n) => ({ uuid: uuidOf(n) })),
  );
  await second.close();
});

t.test('a second member takes over partitions, and every row is there once', async (t) => {
  const first = await start();
  await log.append(Array.from({ length: 100 }, (_, n) => event(n)));
  const second = await start();
  await log.append(Array.from({ length: 100 }, (_, n) => event(100 + n)));
  await drained();
  await first.close();
  await log.append(Array.from({ length: 100 }, (_, n) => event(200 + n)));
  await drained();
  t.same(await rowsOf('SELECT uniqExact(uuid) AS n FROM events'), [{ n: 300 }]);
  await second.close();
});
