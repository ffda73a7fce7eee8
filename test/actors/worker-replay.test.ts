import fc from 'fast-check';
import t from 'tap';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { type ClientEvent, type Row, workerHarness } from './worker-harness.ts';

/** Answers of saves that get lost: `before`, nothing was written; `after`, everything was. */
type Loss = 'none' | 'before' | 'after';

function losing(losses: Iterator<Loss>): (store: PersonStore) => PersonStore {
  return (store) => ({
    ...store,
    async save(partitions, works) {
      const next = losses.next();
      const loss = next.done ? 'none' : next.value;
      if (loss === 'before') throw new Error('connection lost before the commit');
      const saved = await store.save(partitions, works);
      if (loss === 'after') throw new Error('connection lost after the commit');
      return saved;
    },
  });
}

t.test(
  'a save whose answer is lost is replayed: its rows are sent, and nothing is folded twice',
  async (t) => {
    const harness = await workerHarness(t);
    const worker = await harness.start(losing((['after'] satisfies Loss[])[Symbol.iterator]()));
    await harness.capture([{ event: 'a', distinctId: 'ann', properties: { $set: { a: 1 } } }]);
    t.match(await harness.settled(1), { rows: 1, imbalance: 0 });
    t.match((await harness.postgres.query('SELECT version FROM posthog_person')).rows, [{ version: 0 }]);
    const rows = await harness.read('clickhouse_events_json');
    const persons = await harness.read('clickhouse_person');
    const mappings = await harness.read('clickhouse_person_distinct_id');
    t.same(
      [rows.length, persons.length, mappings.length],
      [1, 1, 1],
      'the person and its mapping are sent too',
    );
    await worker.close();
  },
);

const KEYS = ['a', 'b'] as const;
const history = fc.array(
  fc.record({
    distinctId: fc.constantFrom('ann', 'bob', 'cy'),
    change: fc.constantFrom('$set', '$set_once', '$unset'),
    key: fc.constantFrom(...KEYS),
  }),
  { minLength: 5, maxLength: 40 },
);

/** What the person is after its events, one after another. */
function sequentially(events: readonly ClientEvent[]): Map<string, Record<string, unknown>> {
  const persons = new Map<string, Record<string, unknown>>();
  for (const { distinctId, properties } of events) {
    const known = persons.has(distinctId);
    const person = persons.get(distinctId) ?? {};
    persons.set(distinctId, person);
    const { $set, $set_once, $unset } = (properties ?? {}) as Record<
      string,
      Record<string, unknown> | undefined
    >;
    for (const [key, value] of Object.entries($set_once ?? {})) person[key] ??= value;
    Object.assign(person, $set ?? {});
    if (known) for (const key of Object.values($unset ?? {})) delete person[String(key)];
  }
  return persons;
}

t.test(
  'whatever save is lost and whenever the worker dies, persons are as if each event came once',
  async (t) => {
    const losses = fc.array(fc.constantFrom<Loss>('none', 'none', 'before', 'after'), { maxLength: 8 });
    const deaths = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 2 });
    await fc.assert(
      fc.asyncProperty(history, losses, deaths, async (steps, lost, deathsAfterMs) => {
        await t.test(
          `${steps.length} events, ${lost.join()}, deaths after ${deathsAfterMs.join()} ms`,
          async (t) => {
            const harness = await workerHarness(t);
            const events = steps.map(({ distinctId, change, key }, index): ClientEvent => {
              const value = change === '$unset' ? [key] : { [key]: index };
              return { event: `event ${index}`, distinctId, properties: { [change]: value } };
            });
            const iterator = lost[Symbol.iterator]();
            let worker = await harness.startUntaken(losing(iterator));
            const middle = events.length >> 1;
            await harness.capture(events.slice(0, middle));
            for (const afterMs of deathsAfterMs) {
              await new Promise((resolve) => setTimeout(resolve, afterMs));
              await worker.abandon();
              worker = await harness.startUntaken(losing(iterator));
            }
            await harness.capture(events.slice(middle));
            t.match(await harness.settled(events.length), { rows: events.length, imbalance: 0 });

            const { rows } = await harness.postgres.query<{
              distinct_id: string;
              properties: Row;
              version: number;
            }>(
              `SELECT d.distinct_id, p.properties - '$creator_event_uuid' AS properties FROM posthog_person p
           JOIN posthog_persondistinctid d ON d.person_id = p.id`,
            );
            const expected = sequentially(events);
            t.same(
              new Map(rows.map(({ distinct_id, properties }) => [distinct_id, properties])),
              expected,
              'persons',
            );
            const names = (await harness.read('clickhouse_events_json')).map(({ event }) => event);
            t.same([...new Set(names)].toSorted(), events.map(({ event }) => event).toSorted(), 'rows');
            await worker.close();
          },
        );
      }),
      { numRuns: process.env['CI'] ? 60 : 15 },
    );
  },
);
