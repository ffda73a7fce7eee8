/** The loader over ClickHouse's HTTP interface, as it runs beside a server: the same rows, the same refusals. */
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { LOADER_GROUP, type RefusedRow, startLoader } from '../../src/loader/loader.ts';
import { rowOf } from '../../src/loader/row.ts';
import { Metrics } from '../../src/metrics.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { CLICKHOUSE_TABLES, hasPartitionColumn } from '../../src/storage/clickhouse/tables.ts';
import { openEmbeddedLog } from '../../src/storage/embedded/log.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import { CLICKHOUSE_TOPICS } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { startClickHouseBridge } from '../support/clickhouse-bridge.ts';
import { columnsOf, expectedRow, recordsOf, rowsOf, sorted } from '../support/clickhouse-rows.ts';
import { rowRecords } from '../support/row-records.ts';

const BROKEN = 3;
t.setTimeout(600_000);

t.test('every topic gets into its table over HTTP, around what is refused', async (t) => {
  const dir = t.testdir();
  const bridge = await startClickHouseBridge(`${dir}/clickhouse`);
  const clickhouse = await openClickHouse({
    url: bridge.url,
    user: 'default',
    password: '',
    database: 'default',
  });
  const log = await openEmbeddedLog({
    dir: `${dir}/log`,
    partitions: 2,
    clock: systemClock,
    logger: quietLogger,
  });
  t.teardown(async () => {
    await log.close();
    await clickhouse.close();
    await bridge.close();
  });
  await migrateClickHouse(clickhouse, quietLogger);
  const seed = Date.now() % 2 ** 31;
  t.comment(`seed ${seed}`);
  await log.append(fc.sample(rowRecords, { numRuns: 300, seed }));
  const good = new Map<string, Awaited<ReturnType<typeof recordsOf>>>();
  for (const topic of CLICKHOUSE_TOPICS) good.set(topic, await recordsOf(log, topic));
  await log.append(
    Array.from(
      { length: BROKEN },
      (_, n): AppendRecord => ({
        topic: 'clickhouse_events_json',
        key: String(n),
        value: `{"uuid":"no uuid ${n}"}`,
        headers: { source: `0:${n}` },
        timestamp: 1,
      }),
    ),
  );

  const refused: RefusedRow[] = [];
  const loader = await startLoader({
    log,
    clickhouse,
    clock: systemClock,
    metrics: new Metrics(),
    logger: quietLogger,
    onRowRefused: async (row) => void refused.push(row),
  });
  t.teardown(() => loader.close());
  const isDrained = async (): Promise<boolean> => {
    for (const topic of CLICKHOUSE_TOPICS) {
      const committed = await log.committed(LOADER_GROUP, topic);
      const offsets = await log.offsets(topic);
      if (offsets.some(({ partition, end }) => (committed.get(partition) ?? 0) < end)) return false;
    }
    return refused.length === BROKEN;
  };
  while (!(await isDrained())) await delay(50);

  for (const topic of CLICKHOUSE_TOPICS) {
    const table = CLICKHOUSE_TABLES[topic];
    const columns = await columnsOf(clickhouse, table);
    const expected = (good.get(topic) ?? []).map((record) => {
      const row = rowOf(record, hasPartitionColumn(table)) ?? Buffer.from('null');
      return expectedRow(columns, JSON.parse(Buffer.from(row).toString()));
    });
    const names = [...columns.keys()].join(', ');
    const found = await rowsOf(
      clickhouse,
      `SELECT ${names} FROM ${table} ${table === 'events_dead_letter_queue' ? "WHERE error_location != 'loader'" : ''}`,
    );
    t.same(sorted(found), sorted(expected), table);
  }
  const letters = await rowsOf(
    clickhouse,
    "SELECT tags[3] AS origin FROM events_dead_letter_queue WHERE error_location = 'loader' ORDER BY origin",
  );
  t.same(
    letters.map(({ origin }) => origin),
    Array.from({ length: BROKEN }, (_, n) => `events_plugin_ingestion:0:${n}`),
  );
});
