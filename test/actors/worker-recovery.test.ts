import t from 'tap';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { type ClientEvent, type Harness, refusing, TOKEN, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

/** What the store refuses. */
const huge = (distinctId: string): ClientEvent => ({
  event: 'huge',
  distinctId,
  properties: { $set: { huge: true } },
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function mappings({ postgres }: Harness): Promise<readonly unknown[]> {
  const { rows } = await postgres.query(
    'SELECT d.distinct_id FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id',
  );
  return rows;
}

t.test('after a restart with more in flight than the bound everything still ends', async (t) => {
  const harness = await workerHarness(t);
  const append = harness.log.append.bind(harness.log);
  let away = true;
  harness.log.append = (records: readonly AppendRecord[]) =>
    away && records.some(({ topic }) => topic !== INGESTION_TOPIC)
      ? Promise.reject(new Error('the output topics are away'))
      : append(records);
  const changed = { limits: { inFlightPerPartitionMax: 50, pollRecordsMax: 40 } };
  const events = Array.from(
    { length: 400 },
    (_, index): ClientEvent => ({
      event: 'e',
      distinctId: `id ${index % 20}`,
      properties: { $set: { index } },
    }),
  );
  await harness.capture(events);
  const first = await harness.start(undefined, changed);
  await pause(500);
  await first.abandon();
  away = false;
  const second = await harness.start(undefined, changed);
  t.match(await harness.settled(events.length), { rows: events.length, imbalance: 0 });
  await second.close();
});

t.test('a person saved beside a refused event keeps its mapping', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start(refusing);
  await harness.capture([
    { event: 'look', distinctId: 'bob', properties: { $process_person_profile: false } },
    { event: 'ok', distinctId: 'bob', properties: { $set: { b: 1 } } },
    huge('bob'),
  ]);
  t.match(await harness.settled(3), { rows: 2, imbalance: 0 });
  t.same(await mappings(harness), [{ distinct_id: 'bob' }]);
  await worker.close();
});

t.test('an event that waited behind the refused first one of its id makes the person', async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start((store) => ({
    ...store,
    async save(partitions, works) {
      await pause(200);
      return refusing(store).save(partitions, works);
    },
  }));
  await harness.capture([huge('bob')]);
  await pause(100);
  await harness.capture([{ event: 'plain', distinctId: 'bob' }]);
  t.match(await harness.settled(2), { rows: 1, imbalance: 0 });
  t.same(await mappings(harness), [{ distinct_id: 'bob' }]);
  await worker.close();
});

t.test('the books settle although a save of another partition was refused', async (t) => {
  const harness = await workerHarness(t);
  const inPartition = (partition: number): string => {
    for (let index = 0; ; index++) if (partitionOf(`${TOKEN}:${index}`, 2) === partition) return `${index}`;
  };
  const worker = await harness.start(refusing, { limits: { progressEveryMs: 300 } });
  await harness.capture([{ event: 'plain', distinctId: inPartition(0) }]);
  await harness.settled(1);
  await harness.capture([{ event: 'plain', distinctId: inPartition(0) }]);
  await pause(60);
  await harness.capture([huge(inPartition(1))]);
  t.match(await harness.settled(3), { rows: 2, dead_lettered: { refused_by_postgres: 1 }, imbalance: 0 });
  await worker.close();
});

t.test(
  'records that capture would not write are dead letters, and the next event goes through',
  async (t) => {
    const harness = await workerHarness(t);
    const worker = await harness.start();
    const nested = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const envelope = {
      uuid: '22222222-2222-7222-8222-222222222222',
      token: TOKEN,
      event: 'e',
      distinct_id: 'ann',
      data: '{}',
    };
    const values = [
      { ...envelope, distinct_id: 'a\0b' },
      { ...envelope, distinct_id: '\ud800' },
      { ...envelope, token: 'a\0b' },
      { ...envelope, data: `{"event":"e","properties":{"$set":{"deep":${nested}}}}` },
    ];
    await harness.log.append(
      values.map((value) => ({
        topic: INGESTION_TOPIC,
        key: 'x',
        value: JSON.stringify(value),
        headers: {},
        timestamp: Date.now(),
      })),
    );
    await harness.capture([{ event: 'plain', distinctId: 'ann' }]);
    t.match(await harness.settled(5), { rows: 1, dead_lettered: { malformed_record: 4 }, imbalance: 0 });
    await worker.close();
  },
);
