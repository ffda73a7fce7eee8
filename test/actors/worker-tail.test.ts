/** What one worker hears from the log of what another one has changed. */
import t, { type Test } from 'tap';
import { captureKey } from '../../src/event/captured.ts';
import { asDistinctId } from '../../src/event/ids.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { until } from '../support/event-log.ts';
import { type ClientEvent, type Harness, type Row, TEAM, TOKEN, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** Long enough for what must not happen. */
const A_WHILE_MS = 300;

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
  return harness;
}

/** Captures `make(event)` again and again, until a row of it is as it should be; nobody knows how long news take. */
async function untilRow(
  harness: Harness,
  captured: number,
  make: (event: string) => ClientEvent,
  isSo: (row: Row) => boolean,
): Promise<Row> {
  let found: Row | undefined;
  let count = 0;
  await until(async () => {
    count += 1;
    await harness.capture([make(`look ${count}`)]);
    await harness.settled(captured + count);
    const row = await rowOf(harness, `look ${count}`);
    if (isSo(row)) found = row;
    return found !== undefined;
  });
  if (found === undefined) throw new Error('there is no such row');
  return found;
}

const propertiesOf = (row: Row): Record<string, unknown> => JSON.parse(String(row['person_properties']));

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
  const isPaid = (row: Row) => propertiesOf(row)['plan'] === 'paid';
  const row = await untilRow(harness, 4, (event) => seen(x, event), isPaid);
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
  const [x, y] = [idIn(0, 'x'), idIn(1, 'y')];
  await harness.capture([merge(x, y)]);
  await harness.settled(1);
  let count = 1;
  let isOver = false;
  const rush = (async () => {
    for (; !isOver; count++) {
      await harness.capture([seen(x, `rush ${count}`)]);
      await pause(5);
    }
  })();
  await pause(200);
  await harness.capture([set(y, { plan: 'paid' })]);
  const isPaid = (row: Row) => row['distinct_id'] === x && propertiesOf(row)['plan'] === 'paid';
  await until(async () => {
    await pause(50);
    return (await harness.read('clickhouse_events_json')).some(isPaid);
  }).finally(() => {
    isOver = true;
  });
  await rush;
  t.match(await harness.settled(count + 1), { imbalance: 0 });
  for (const worker of workers) await worker.close();
});

t.test('an event that is held goes on when another worker gives its id a person', async (t) => {
  const harness = await two(t, 10 * 60_000);
  const [alice, bob] = [idIn(0, 'alice'), idIn(1, 'bob')];
  await harness.capture([{ event: 'held', distinctId: alice }]);
  await pause(A_WHILE_MS);
  t.same(await harness.read('clickhouse_events_json'), [], 'nobody knows alice');
  await harness.capture([{ event: '$create_alias', distinctId: bob, properties: { alias: alice } }]);
  await until(async () => (await harness.settled(2)).held === 0);
  t.match(await harness.settled(2), { rows: 2, held: 0, imbalance: 0 }, 'long before its time');
  t.equal((await rowOf(harness, 'held'))['person_id'], uuidOf(alice));
});

t.test('what a worker has changed itself it does not read again', async (t) => {
  const harness = await workerHarness(t);
  const { asked, wrap } = counting();
  const worker = await harness.start(wrap);
  const ids = Array.from({ length: 20 }, (_, number) => `id-${number}`);
  await harness.capture(ids.map((id) => set(id, { n: 0 })));
  await harness.settled(20);
  await pause(A_WHILE_MS);
  const before = asked.length;
  for (const n of [1, 2, 3]) {
    await harness.capture(ids.map((id) => set(id, { n })));
    await harness.settled(20 + n * 20);
    await pause(A_WHILE_MS);
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
  const shown = (row: Row) => JSON.parse(String(row['group0_properties']));
  t.same(shown(await rowOf(harness, 'before')), { name: 'old' });
  const isNew = (row: Row) => shown(row)['name'] === 'new';
  t.same(shown(await untilRow(harness, 3, visit, isNew)), { name: 'new' });
});
