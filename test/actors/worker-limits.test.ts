import t from 'tap';
import type { Transform } from '../../src/actors/transforms.ts';
import { until } from '../support/event-log.ts';
import { type ClientEvent, workerHarness } from './worker-harness.ts';

t.test(
  'with every bound at its smallest all events still become rows, in the order of each id',
  async (t) => {
    const harness = await workerHarness(t);
    const worker = await harness.start(undefined, {
      limits: {
        pollRecordsMax: 7,
        inFlightPerPartitionMax: 10,
        inFlightBytesMax: 4_000,
        inFlightPerPersonMax: 3,
        dispatchEntriesMax: 4,
        flushEventsMax: 5,
        flushBytesMax: 2_000,
        outboxBatchesMax: 1,
        appendRecordsMax: 2,
        identityCacheBytesMax: 1_000,
      },
      personCacheBytesMax: 5_000,
    });
    const ids = ['hot', 'hot', 'hot', 'a', 'b', 'c', 'd', 'e'];
    const events = Array.from({ length: 400 }, (_, index): ClientEvent => {
      const distinctId = ids[index % ids.length] ?? 'hot';
      return {
        event: 'count',
        distinctId,
        properties: { $set: { last: index }, $set_once: { first: index } },
      };
    });
    await harness.capture(events);
    t.match(await harness.settled(events.length), { rows: events.length, imbalance: 0 });

    const { rows } = await harness.postgres.query<{ distinct_id: string; first: number; last: number }>(
      `SELECT d.distinct_id, (p.properties->>'first')::int AS first, (p.properties->>'last')::int AS last
     FROM posthog_person p JOIN posthog_persondistinctid d ON d.person_id = p.id`,
    );
    for (const { distinct_id, first, last } of rows) {
      const own = events.flatMap(({ distinctId }, index) => (distinctId === distinct_id ? [index] : []));
      t.same([first, last], [own[0], own.at(-1)], distinct_id);
    }
    await worker.close();
  },
);

t.test('transforms run in order; one drops, one throws, and the order of events stays', async (t) => {
  const harness = await workerHarness(t);
  const order: string[] = [];
  const transforms: Transform[] = [
    {
      name: 'slow for the first',
      async run(event) {
        if (event.name === 'first') await new Promise((resolve) => setTimeout(resolve, 50));
        order.push(event.name);
        return { ...event, properties: { ...event.properties, seen: ['slow'] } };
      },
    },
    {
      name: 'throws',
      async run(event) {
        if (event.name === 'second') throw new Error('a defect');
        return event;
      },
    },
    {
      name: 'drops',
      async run(event) {
        return event.name === 'third' ? null : event;
      },
    },
  ];
  const worker = await harness.start(undefined, { transforms });
  await harness.capture(
    ['first', 'second', 'third', 'fourth'].map((event) => ({ event, distinctId: 'ann' })),
  );
  t.match(await harness.settled(4), { rows: 3, dropped: { transform: 1 }, imbalance: 0 });
  t.same(order, ['first', 'second', 'third', 'fourth']);
  const rows = await harness.read('clickhouse_events_json');
  t.same(rows.map(({ event }) => event).toSorted(), ['first', 'fourth', 'second']);
  for (const { properties } of rows) t.same(JSON.parse(String(properties)).seen, ['slow']);
  await worker.close();
});

t.test('while Postgres is away the worker says so, and nothing is lost', async (t) => {
  const harness = await workerHarness(t);
  let away = true;
  const worker = await harness.start(
    (store) => ({
      ...store,
      findByIds: (ids) => (away ? Promise.reject(new Error('Postgres is away')) : store.findByIds(ids)),
    }),
    {},
  );
  await harness.capture([{ event: 'a', distinctId: 'ann' }]);
  await until(() => !worker.ready().ok);
  t.equal(worker.health().ok, true, 'a restart would not mend it');
  away = false;
  t.match(await harness.settled(1), { rows: 1, imbalance: 0 });
  await until(() => worker.ready().ok);
  await worker.close();
});

t.test('partitions that are paused by their bytes are read on when all of these are held', async (t) => {
  const harness = await workerHarness(t);
  // Before the worker, so that they come together and reach the bound before any of them is held.
  await harness.capture(
    Array.from({ length: 40 }, (_, number) => ({ event: 'held', distinctId: `nobody ${number}` })),
  );
  const worker = await harness.start(undefined, { holdMs: 60_000, limits: { inFlightBytesMax: 2_000 } });
  await until(() => worker.standings().reduce((sum, { held }) => sum + held, 0) === 40);
  await harness.capture([{ event: 'goes on', distinctId: 'ann', properties: { $device_id: 'ann' } }]);
  await until(async () => (await harness.read('clickhouse_events_json')).length === 1);
  await worker.abandon();
});
