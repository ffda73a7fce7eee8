import t, { type Test } from 'tap';
import type { PersonUuid } from '../../src/event/ids.ts';
import { type EventLog, LogUnavailableError } from '../../src/storage/event-log.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { until } from '../support/event-log.ts';
import { type Changed, type Harness, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

const EVENTS = 40;
/** Each offset by a save of its own, with a person of its own. */
const FOLD = `
  INSERT INTO tributary_folded (log_id, topic, partition, from_offset, to_offset, persons)
  SELECT $1, $2, $3, number, number, ARRAY[gen_random_uuid()] FROM generate_series(0, $4 - 1) AS number
  RETURNING persons[1]::text AS person`;
const IN_FLIGHT = 'SELECT sum(in_flight)::int AS found FROM tributary_partition';
const PERSONS = 'SELECT count(*)::int AS found FROM posthog_person';

/** The records were folded by a former owner; gives the persons that it saved. */
async function foldedBefore({ log, postgres }: Harness): Promise<readonly string[]> {
  const logId = log.identity();
  const store = createPersonStore(postgres);
  const persons: string[] = [];
  for (const { partition, end } of await log.offsets(INGESTION_TOPIC)) {
    await store.acquire({ logId, topic: INGESTION_TOPIC, partition }, 0);
    const folded = [logId, INGESTION_TOPIC, partition, end];
    const { rows } = await postgres.query<{ person: string }>(FOLD, folded);
    persons.push(...rows.map(({ person }) => person));
  }
  return persons.toSorted();
}

async function withEvents(t: Test): Promise<Harness> {
  const harness = await workerHarness(t);
  await harness.capture(
    Array.from({ length: EVENTS }, (_, number) => ({ event: 'a', distinctId: `ann ${number}` })),
  );
  return harness;
}

t.test('a replay asks at once for all persons that were saved and may not have been sent', async (t) => {
  const harness = await withEvents(t);
  const recorded = await foldedBefore(harness);
  const asked: (readonly PersonUuid[])[] = [];
  const worker = await harness.start((real) => ({
    ...real,
    findRecorded: (persons, groups) => {
      asked.push(persons);
      return real.findRecorded(persons, groups);
    },
  }));
  t.match(await harness.settled(EVENTS), { rows: EVENTS });
  t.equal(asked.length, 2, 'once for each partition');
  t.same(asked.flat().toSorted(), recorded);
  await worker.close();
});

/** The log without its oldest records: of each partition all but the last one is gone. */
const SHORTENED: Readonly<
  Record<string, (log: EventLog, ends: ReadonlyMap<number, number>) => NonNullable<Changed['log']>>
> = {
  'before they are taken': ({ offsets }) => ({
    offsets: async (topic) => (await offsets(topic)).map((one) => ({ ...one, first: one.end - 1 })),
  }),
  'before they are read again': ({ subscribe }, ends) => ({
    subscribe: (subscriber) =>
      subscribe({
        ...subscriber,
        onRecords(at, records) {
          const last = (ends.get(at.partition) ?? 0) - 1;
          subscriber.onRecords(
            at,
            records.filter(({ offset }) => offset === last),
          );
        },
      }),
  }),
};

for (const [when, shortened] of Object.entries(SHORTENED)) {
  t.test(`persons that were saved are sent, although their records left the log ${when}`, async (t) => {
    const harness = await withEvents(t);
    const { log, postgres } = harness;
    const first = await harness.start(undefined, {
      log: { append: () => Promise.reject(new LogUnavailableError('no answer')) },
      // Many saves, so that the record which is left is in one with few of the others.
      limits: { flushEventsMax: 4, outboxBatchesMax: EVENTS },
    });
    const readOf = async (sql: string) => (await postgres.query<{ found: unknown }>(sql)).rows[0]?.found;
    await until(async () => (await readOf(IN_FLIGHT)) === EVENTS && (await readOf(PERSONS)) === EVENTS);
    await first.abandon();
    t.same(await harness.read('clickhouse_person'), []);

    const ends = new Map((await log.offsets(INGESTION_TOPIC)).map(({ partition, end }) => [partition, end]));
    const second = await harness.start(undefined, { log: shortened(log, ends) });
    const lost = EVENTS - ends.size;
    t.match(await harness.settled(EVENTS), {
      rows: ends.size,
      dead_lettered: { lost_by_retention: lost },
      imbalance: 0,
    });
    const persons = await harness.read('clickhouse_person');
    t.equal(new Set(persons.map(({ id }) => id)).size, EVENTS);
    const ids = await harness.read('clickhouse_person_distinct_id');
    t.equal(new Set(ids.map(({ distinct_id }) => distinct_id)).size, EVENTS);
    await second.close();
  });
}
