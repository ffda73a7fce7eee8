/** What one worker hears from the log of what another one has changed. */
import t, { type Test } from 'tap';
import { captureKey } from '../../src/event/captured.ts';
import { asDistinctId } from '../../src/event/ids.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { type ClientEvent, type Harness, type Row, TEAM, TOKEN, workerHarness } from './worker-harness.ts';

t.setTimeout(60_000);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** As long as news take at most, on a busy machine. */
const NEWS_MS = 300;

/** An id whose records are in this partition. */
function idIn(partition: number, name: string): string {
  for (let number = 0; ; number++) {
    const id = `${name}-${number}`;
    if (partitionOf(captureKey(TOKEN, asDistinctId(id)), 2) === partition) return id;
  }
}

const seen = (distinctId: string, event: string): ClientEvent => ({
  event,
  distinctId,
  properties: { $device_id: distinctId },
});
const set = (distinctId: string, $set: object): ClientEvent => ({
  event: '$set',
  distinctId,
  properties: { $set },
});
const merge = (distinctId: string, alias: string): ClientEvent => ({
  event: '$merge_dangerously',
  distinctId,
  properties: { alias },
});
const uuidOf = (distinctId: string) => derivePersonUuid(TEAM, asDistinctId(distinctId));

/** How often Postgres was asked for ids. */
function counting() {
  const asked: string[] = [];
  const wrap = (store: PersonStore): PersonStore => ({
    ...store,
    findByIds(ids) {
      for (const { distinctId } of ids) asked.push(distinctId);
      return store.findByIds(ids);
    },
  });
  return { asked, wrap };
}

/** Two workers, each with one of the two partitions. */
async function two(t: Test, holdMs = 0): Promise<Harness> {
  const harness = await workerHarness(t);
  const workers = [await harness.start(undefined, { holdMs }), await harness.start(undefined, { holdMs })];
  t.teardown(() => Promise.all(workers.map((worker) => worker.close())));
  await Promise.all(workers.map((worker) => worker.taken()));
  return harness;
}

async function rowOf(harness: Harness, event: string): Promise<Row> {
  const row = (await harness.read('clickhouse_events_json')).find((one) => one['event'] === event);
  if (row === undefined) throw new Error(`there is no row of ${event}`);
  return row;
}

t.test('a row that changes nothing shows what another worker has changed', async (t) => {
  const harness = await two(t);
  const [x, y] = [idIn(0, 'x'), idIn(1, 'y')];
  await harness.capture([seen(x, 'first')]);
  await harness.settled(1);
  await harness.capture([merge(y, x)]);
  await harness.settled(2);
  await harness.capture([seen(x, 'cached here')]);
  await harness.settled(3);
  await harness.capture([set(y, { plan: 'paid' })]);
  await harness.settled(4);
  await pause(NEWS_MS);
  await harness.capture([seen(x, 'last')]);
  await harness.settled(5);
  const row = await rowOf(harness, 'last');
  t.match(JSON.parse(String(row['person_properties'])), { plan: 'paid' });
  t.equal(row['person_id'], (await rowOf(harness, 'cached here'))['person_id']);
});

t.test('a person that never rests is looked at again', async (t) => {
  const harness = await workerHarness(t);
  // Saves are slow: there is always something of x unsaved.
  const slow = (store: PersonStore): PersonStore => ({
    ...store,
    async save(partitions, works) {
      await pause(40);
      return store.save(partitions, works);
    },
  });
  const workers = [await harness.start(slow), await harness.start(slow)];
  await Promise.all(workers.map((worker) => worker.taken()));
  const [x, y] = [idIn(0, 'x'), idIn(1, 'y')];
  await harness.capture([merge(x, y)]);
  await harness.settled(1);
  let count = 1;
  const rush = async (untilMs: number) => {
    for (const end = Date.now() + untilMs; Date.now() < end; count++) {
      await harness.capture([seen(x, `rush ${count}`)]);
      await pause(5);
    }
  };
  await rush(200);
  await harness.capture([set(y, { plan: 'paid' })]);
  await rush(600);
  const event = `rush ${count - 1}`;
  await harness.settled(count + 1);
  t.match(JSON.parse(String((await rowOf(harness, event))['person_properties'])), { plan: 'paid' });
  for (const worker of workers) await worker.close();
});

t.test('an event that is held goes on when another worker gives its id a person', async (t) => {
  const harness = await two(t, 60_000);
  const [alice, bob] = [idIn(0, 'alice'), idIn(1, 'bob')];
  await harness.capture([{ event: 'held', distinctId: alice }]);
  await pause(NEWS_MS);
  t.same(await harness.read('clickhouse_events_json'), [], 'nobody knows alice');
  const before = Date.now();
  await harness.capture([{ event: '$create_alias', distinctId: bob, properties: { alias: alice } }]);
  t.match(await harness.settled(2), { rows: 2, held: 0, imbalance: 0 });
  t.ok(Date.now() - before < 20_000, 'long before its time');
  t.equal((await rowOf(harness, 'held'))['person_id'], uuidOf(alice));
});

t.test('what a worker has changed itself it does not read again', async (t) => {
  const harness = await workerHarness(t);
  const { asked, wrap } = counting();
  const worker = await harness.start(wrap);
  const ids = Array.from({ length: 20 }, (_, number) => `id-${number}`);
  await harness.capture(ids.map((id) => set(id, { n: 0 })));
  await harness.settled(20);
  await pause(NEWS_MS);
  const before = asked.length;
  for (const n of [1, 2, 3]) {
    await harness.capture(ids.map((id) => set(id, { n })));
    await harness.settled(20 + n * 20);
    await pause(NEWS_MS);
  }
  t.equal(asked.length, before);
  await worker.close();
});

t.test('a group that another worker has changed shows on the next row', async (t) => {
  const harness = await two(t);
  const [x, y] = [idIn(0, 'x'), idIn(1, 'y')];
  const describe = (distinctId: string, name: string): ClientEvent => ({
    event: '$groupidentify',
    distinctId,
    properties: { $group_type: 'company', $group_key: 'acme', $group_set: { name } },
  });
  const visit = (event: string): ClientEvent => ({
    event,
    distinctId: x,
    properties: { $device_id: x, $groups: { company: 'acme' } },
  });
  await harness.capture([describe(x, 'old')]);
  await harness.settled(1);
  await harness.capture([visit('before')]);
  await harness.settled(2);
  await harness.capture([describe(y, 'new')]);
  await harness.settled(3);
  await pause(NEWS_MS);
  await harness.capture([visit('after')]);
  await harness.settled(4);
  const shown = async (event: string) =>
    JSON.parse(String((await rowOf(harness, event))['group0_properties']));
  t.same(await shown('before'), { name: 'old' });
  t.same(await shown('after'), { name: 'new' });
});
