/** The largest merge that there may be, while others go on. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { asDistinctId } from '../../src/event/ids.ts';
import { derivePersonUuid, newEventUuid } from '../../src/ids.ts';
import { LIMITS } from '../../src/limits.ts';
import { type ClientEvent, type Harness, TEAM, workerHarness } from '../actors/worker-harness.ts';
import { bareMoveMs, countIds, fillIds } from '../support/large-persons.ts';

const { mergeIdsMax } = LIMITS.worker;
const OTHERS = 100;
const OTHERS_EVERY_MS = 10;
const WAIT_MS_MAX = 1_000;
/** A machine that is busy with other things is slower; then it may take so many times as long as Postgres needs for it. */
const RATIO_MAX = 3;
const TRIES = 6;

t.setTimeout(600_000);

const personOf = (id: string) => derivePersonUuid(TEAM, asDistinctId(id));

const bound = `${WAIT_MS_MAX} ms, or ${RATIO_MAX} times what Postgres alone needs`;
t.test(`while ${mergeIdsMax} ids move, the others wait for at most ${bound}`, async (t) => {
  const harness = await workerHarness(t);
  const worker = await harness.start();
  const rows = await rowTimes(t, harness);
  const tries: { readonly waitMs: number; readonly ratio: number }[] = [];
  const isWithin = () => tries.some(({ waitMs, ratio }) => waitMs <= WAIT_MS_MAX || ratio <= RATIO_MAX);
  let captured = 0;
  for (let index = 0; index < TRIES && !isWithin(); index++) {
    const [large, small] = [`large${index}`, `small${index}`];
    await harness.capture([large, small].map((distinctId) => ({ event: 'hi', distinctId, properties: SET })));
    captured += 2;
    await harness.settled(captured);
    await fillIds(harness.postgres, personOf(large), large, mergeIdsMax);
    const floorMs = await bareMoveMs(harness.postgres, personOf(large), personOf(small));

    const pauses = monitorEventLoopDelay({ resolution: 5 });
    const traffic = sendOthers(harness);
    await delay(300);
    pauses.enable();
    const before = await mappings(harness);
    await harness.capture([{ event: '$merge_dangerously', distinctId: small, properties: { alias: large } }]);
    while ((await mappings(harness)) < before + mergeIdsMax) await delay(20);
    pauses.disable();
    const sent = await traffic.stop();
    captured += 1 + sent.size;
    await harness.settled(captured);
    t.equal(await countIds(harness.postgres, personOf(small)), mergeIdsMax + 1);
    t.ok([...sent.keys()].every((uuid) => rows.has(uuid)));
    const waitMs = Math.max(...[...sent].map(([uuid, atMs]) => (rows.get(uuid) ?? Number.NaN) - atMs));
    tries.push({ waitMs, ratio: waitMs / floorMs });
    t.comment(`longest wait ${Math.round(waitMs)} ms, Postgres alone ${Math.round(floorMs)} ms`);
    t.comment(`longest pause of the event loop ${Math.round(pauses.max / 1e6)} ms`);
  }
  t.ok(isWithin(), JSON.stringify(tries));

  const found = await harness.read('clickhouse_person_distinct_id');
  const moved = found.filter(({ person_id }) => person_id === personOf('small0'));
  t.equal(
    new Set(moved.map(({ distinct_id }) => distinct_id)).size,
    mergeIdsMax + 1,
    'every mapping is told',
  );
  await worker.close();
});

const SET = { $set: { plan: 'free' } };

const mappings = async ({ log }: Harness): Promise<number> =>
  (await log.offsets('clickhouse_person_distinct_id')).reduce((sum, { end }) => sum + end, 0);

/** When each event's row was on the output topic, by its uuid. */
async function rowTimes(t: Test, { log }: Harness): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>();
  const tail = await log.tail(['clickhouse_events_json'], (records) => {
    for (const { key } of records) times.set(String(key), performance.now());
  });
  t.teardown(() => tail.close());
  return times;
}

/** Events of other persons, until it is stopped; gives when each was sent, by its uuid. */
function sendOthers(harness: Harness): { stop(): Promise<ReadonlyMap<string, number>> } {
  const sent = new Map<string, number>();
  let isOver = false;
  let count = 0;
  const run = async () => {
    while (!isOver) {
      const events = Array.from({ length: 4 }, (): ClientEvent => {
        const [uuid, distinctId] = [newEventUuid(), `other${count++ % OTHERS}`];
        sent.set(uuid, performance.now());
        return { event: 'other', uuid, distinctId, properties: { $set: { count } } };
      });
      await harness.capture(events);
      await delay(OTHERS_EVERY_MS);
    }
  };
  const running = run();
  return {
    async stop() {
      isOver = true;
      await running;
      return sent;
    },
  };
}
