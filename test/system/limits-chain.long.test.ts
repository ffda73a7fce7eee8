/** Ten thousand aliases in a chain: each names the next id. */
import t, { type Test } from 'tap';
import { dataFolder, startSystem, type TestSystem } from './harness.ts';

const ALIASES = 10_000;
const BATCH_EVENTS = 500;
const CHAIN_MS_MAX = 10_000;
/** A machine that is busy with other things is slower; then it may take so many times as long as events that join nobody. */
const RATIO_MAX = 4;

t.setTimeout(600_000);

/** Milliseconds from the first post until all databases agree. */
async function settleMs(system: TestSystem, events: readonly object[]): Promise<number> {
  const begunAtMs = performance.now();
  for (let start = 0; start < events.length; start += BATCH_EVENTS)
    await system.send(events.slice(start, start + BATCH_EVENTS));
  await system.settled();
  return performance.now() - begunAtMs;
}

const links = Array.from({ length: ALIASES }, (_, index) => index);

const chain = (event: string, name: string) =>
  links.map((index) => ({
    event,
    distinct_id: `${name}-${index}`,
    properties: { alias: `${name}-${index + 1}` },
  }));

/** Those whom ids of this chain lead to, as each database says. */
async function personsOf(system: TestSystem, name: string): Promise<readonly unknown[]> {
  const [inPostgres] = await system.postgres(
    `SELECT count(DISTINCT person_id)::int AS persons, count(*)::int AS ids
     FROM posthog_persondistinctid WHERE distinct_id LIKE '${name}-%'`,
  );
  const [inClickHouse] = await system.sql(
    `SELECT toUInt32(uniqExact(person_id)) AS persons, toUInt32(count()) AS ids FROM person_distinct_id2 FINAL
     WHERE distinct_id LIKE '${name}-%' AND is_deleted = 0`,
  );
  return [inPostgres, inClickHouse];
}

async function check(t: Test, system: TestSystem, event: string): Promise<void> {
  const plain = links.map((index) => ({ event: '$set', distinct_id: `alone-${index}`, $set: { index } }));
  const plainMs = await settleMs(system, plain);
  const one = { persons: 1, ids: ALIASES + 1 };
  for (const [name, events] of [
    ['ahead', chain(event, 'ahead')],
    ['back', chain(event, 'back').toReversed()],
  ] as const) {
    const tookMs = await settleMs(system, events);
    t.comment(`${event} ${name}: ${Math.round(tookMs)} ms, as many without: ${Math.round(plainMs)} ms`);
    t.ok(tookMs <= CHAIN_MS_MAX || tookMs <= plainMs * RATIO_MAX, `${tookMs} ms, plain ${plainMs} ms`);
    t.same(await personsOf(system, name), [one, one], name);
  }
}

t.test(
  '10,000 aliases in a chain are one person within ten seconds, or four times what plain events take, in either order',
  async (t) => {
    // On one partition they are taken in the order in which they were sent: nobody is identified before it is merged.
    const system = await startSystem(t, await dataFolder(t), { EMBEDDED_PARTITIONS: '1' });
    await check(t, system, '$create_alias');
  },
);

t.test('so are 10,000 merges that are taken from several partitions in any order', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  await check(t, system, '$merge_dangerously');
});
