import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs from 'kafkajs';
import t from 'tap';
import type { Books } from '../../src/books.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { withEmptyPostgres } from '../support/postgres.ts';
import { type RunningSystem, startSystemProcess } from '../support/program.ts';
import { until } from '../system/harness.ts';

const IDS = 20;
const ROUNDS = 5;

t.setTimeout(600_000);

t.test('partitions that are added while nothing waits keep the order of every id', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-partitions-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const prefix = `partitions-${randomBytes(4).toString('hex')}-`;
  const hosts = await kafkaHosts();
  const settings = {
    KAFKA_HOSTS: hosts,
    KAFKA_PREFIX: prefix,
    KAFKA_TOPIC_PARTITIONS: '2',
    DATABASE_URL: (await withEmptyPostgres(t)).url,
    TRIBUTARY_DEV_PROJECT: 'on',
  };
  let seq = 0;
  const play = async (system: RunningSystem) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      seq += 1;
      const batch = Array.from({ length: IDS }, (_, index) => ({
        event: 'step',
        distinct_id: `id-${index}`,
        properties: { seq, $set: { seq } },
      }));
      const body = JSON.stringify({ api_key: 'phc_tributary_dev', batch });
      t.equal((await fetch(`${system.captureUrl}/batch`, { method: 'POST', body })).status, 200);
    }
    const books = await until('nothing waits', async () => {
      const found: Books = JSON.parse(await (await fetch(`${system.consoleUrl}/_ledger`)).text());
      return found.rows === seq * IDS && found.in_flight === 0 ? found : undefined;
    });
    t.match(books, { acknowledged: seq * IDS, waiting: 0, held: 0, imbalance: 0 });
  };

  const before = await startSystemProcess(dir, settings);
  t.teardown(() => before.stop());
  await play(before);
  t.equal((await before.stop()).code, 0);
  await addPartitions(hosts, `${prefix}events_plugin_ingestion`, 5);
  const after = await startSystemProcess(dir, settings);
  t.teardown(() => after.stop());
  await play(after);

  const broken = `SELECT uniqExact(uuid) AS n,
    countIf(JSONExtractInt(person_properties, 'seq') != JSONExtractInt(properties, 'seq')) AS broken FROM events`;
  const row = await until('every row', async () => {
    const response = await fetch(`${after.consoleUrl}/sql`, { method: 'POST', body: broken });
    const found: { n: number; broken: number } = JSON.parse(await response.text());
    return Number(found.n) === seq * IDS ? found : undefined;
  });
  t.equal(Number(row.broken), 0, 'each row shows the person as its own event left it');
});

async function addPartitions(hosts: string, topic: string, count: number): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: [hosts], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createPartitions({ topicPartitions: [{ topic, count }] });
  await admin.disconnect();
}
