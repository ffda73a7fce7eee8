/** Kafka tables that are made again for other brokers go on where the old ones stopped. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { Metrics } from '../../src/metrics.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { kafkaEngineStatements } from '../../src/storage/clickhouse/kafka-engine.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { openKafkaLog } from '../../src/storage/kafka/log.ts';
import { plainConnection } from '../../tools/kafka/connection.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { ROW, uuidOf } from '../contract/clickhouse.ts';
import { rowsOf } from '../support/clickhouse-rows.ts';
import { kafkaHosts } from '../support/kafka.ts';

t.setTimeout(600_000);
const dir = `${t.testdir()}/clickhouse`;
const { _timestamp: _, _offset: __, ...EVENT } = ROW;

t.test('nothing is read twice or left out', async (t) => {
  const hosts = (await kafkaHosts()).split(',');
  const prefix = `${randomBytes(4).toString('hex')}.`;
  const clickhouse = await openClickHouse({ dir });
  const log = await openKafkaLog({
    connection: plainConnection(hosts.join(',')),
    prefix,
    partitions: 2,
    clock: systemClock,
    logger: quietLogger,
    metrics: new Metrics(),
  });
  const tables = kafkaEngineStatements({ hosts, prefix }).filter(({ name }) => name.startsWith('kafka_'));
  const dropTables = async () => {
    for (const { name } of tables) await clickhouse.command(`DROP TABLE ${name} SYNC`);
  };
  t.teardown(async () => {
    await log.close();
    await dropTables();
    await clickhouse.close();
  });
  const append = (n: number) =>
    log.append([
      {
        topic: 'clickhouse_events_json',
        key: String(n),
        value: JSON.stringify({ ...EVENT, uuid: uuidOf(n) }),
        headers: {},
        timestamp: Date.now(),
      },
    ]);
  const seen = async () =>
    (await rowsOf(clickhouse, 'SELECT uuid, count() AS n FROM events GROUP BY uuid ORDER BY uuid')).map(
      ({ uuid, n }) => `${uuid} ${n}`,
    );

  await migrateClickHouse(clickhouse, quietLogger, { hosts, prefix });
  await append(1);
  const committed = async () =>
    [...(await log.committed('clickhouse-events', 'clickhouse_events_json')).values()].reduce(
      (sum, offset) => sum + offset,
      0,
    );
  while ((await committed()) < 1) await delay(200);
  await dropTables();
  await append(2);
  // The first of them is away.
  await migrateClickHouse(clickhouse, quietLogger, { hosts: ['127.0.0.1:1', ...hosts], prefix });
  while ((await seen()).length < 2) await delay(200);
  t.same(await seen(), [`${uuidOf(1)} 1`, `${uuidOf(2)} 1`]);
});
