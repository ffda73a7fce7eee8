/** Whatever the worker puts on a ClickHouse topic fits its table, and comes back from there as it was. */
import { deepStrictEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { newEventUuid } from '../../src/ids.ts';
import { rowOf } from '../../src/loader/row.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { CLICKHOUSE_TABLES, hasPartitionColumn } from '../../src/storage/clickhouse/tables.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import type { AppendRecord, LogRecord } from '../../src/storage/event-log.ts';
import { CLICKHOUSE_TOPICS, type ClickHouseTopic } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { TOKEN, workerHarness } from '../actors/worker-harness.ts';
import { columnsOf, expectedRow, recordsOf, rowsOf, sorted } from '../support/clickhouse-rows.ts';
import { captured, groupTypeBodies, oddBodies } from '../support/odd-events.ts';

const NOW = Date.parse('2026-05-01T12:00:00.123Z');
const RUNS = 3;
let clickhouse: ClickHouse;

t.before(async () => {
  clickhouse = await openClickHouse({ dir: `${t.testdir()}/clickhouse` });
  await migrateClickHouse(clickhouse, quietLogger);
  // Twins that keep every row: the tables themselves keep the newest of a key.
  for (const table of Object.values(CLICKHOUSE_TABLES)) {
    await clickhouse.command(`CREATE TABLE all_${table} AS ${table} ENGINE = Memory`);
  }
});
t.teardown(() => clickhouse.close());

async function comesBack(topic: ClickHouseTopic, records: readonly LogRecord[]): Promise<void> {
  const table = CLICKHOUSE_TABLES[topic];
  await clickhouse.command(`TRUNCATE TABLE all_${table}`);
  const rows = records.map((record) => rowOf(record, hasPartitionColumn(table)) ?? Buffer.from('no row'));
  await clickhouse.insert(`all_${table}`, rows);
  const columns = await columnsOf(clickhouse, table);
  const expected = rows.map((row) => expectedRow(columns, JSON.parse(Buffer.from(row).toString())));
  const found = await rowsOf(
    clickhouse,
    `SELECT * EXCEPT inserted_at FROM all_${table}`.replace(
      table === 'events' ? '' : ' EXCEPT inserted_at',
      '',
    ),
  );
  deepStrictEqual(sorted(found), sorted(expected));
}

/** As another producer may write it, with times that no text of ours can say. */
const foreign = (record: AppendRecord): AppendRecord => ({
  ...record,
  value: JSON.stringify({
    ...JSON.parse(String(record.value)),
    uuid: newEventUuid(),
    timestamp: '+275760-09-13T00:00:00.000Z',
    now: '-271821-04-20T00:00:00.000Z',
  }),
});

t.test('of whatever events capture takes', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const types = captured(groupTypeBodies, TOKEN, NOW);
  await harness.log.append(types);
  await harness.settled(types.length);
  let events = types.length;
  const seen = new Map<ClickHouseTopic, number>();
  await fc.assert(
    fc.asyncProperty(oddBodies(250), async (bodies) => {
      const taken = captured(bodies, TOKEN, NOW);
      const records = [...taken, ...taken.slice(0, 20).map(foreign)];
      events += records.length;
      await harness.log.append(records);
      const books = await harness.settled(events);
      equal(books.dead_lettered['stage_failed'] ?? 0, 0);
      for (const topic of CLICKHOUSE_TOPICS) {
        const all = await recordsOf(harness.log, topic);
        await comesBack(topic, all);
        seen.set(topic, all.length);
      }
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  t.ok(
    CLICKHOUSE_TOPICS.slice(0, 5).every((topic) => Number(seen.get(topic)) > 0),
    'of every kind',
  );
  t.ok(events > 200 * RUNS, `${events} events were taken`);
  await worker.close();
});
