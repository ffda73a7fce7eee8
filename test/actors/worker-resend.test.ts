import t, { type Test } from 'tap';
import { sleep, systemClock } from '../../src/clock.ts';
import type { PersonUuid } from '../../src/event/ids.ts';
import { type EventLog, LogUnavailableError } from '../../src/storage/event-log.ts';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { until } from '../support/event-log.ts';
import { type Changed, type Harness, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

const EVENTS = 40;
/** Progress would have been saved several times. */
const PROGRESS_MS = 300;
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

/** A worker saved all persons, and ended before it could send any of them. */
async function savedBefore(t: Test): Promise<Harness> {
  const harness = await withEvents(t);
  const first = await harness.start(undefined, {
    log: { append: away },
    // Many saves, so that the record which is left is in one with few of the others.
    limits: { flushEventsMax: 4, outboxBatchesMax: EVENTS },
  });
  await until(async () => (await numberOf(harness, IN_FLIGHT)) === EVENTS);
  await until(async () => (await numberOf(harness, PERSONS)) === EVENTS);
  await first.abandon();
  t.same(await harness.read('clickhouse_person'), []);
  return harness;
}

const away = () => Promise.reject(new LogUnavailableError('no answer'));

async function numberOf({ postgres }: Harness, sql: string): Promise<unknown> {
  return (await postgres.query<{ found: unknown }>(sql)).rows[0]?.found;
}

const endsOf = async ({ log }: Harness) =>
  new Map((await log.offsets(INGESTION_TOPIC)).map(({ partition, end }) => [partition, end]));

/** All but the last record of each partition are in the books as lost, once, and all persons are sent. */
async function allAreSent(t: Test, harness: Harness, ends: ReadonlyMap<number, number>): Promise<void> {
  t.match(await harness.settled(EVENTS), {
    rows: ends.size,
    dead_lettered: { lost_by_retention: EVENTS - ends.size },
    imbalance: 0,
  });
  const persons = await harness.read('clickhouse_person');
  t.equal(new Set(persons.map(({ id }) => id)).size, EVENTS);
  const ids = await harness.read('clickhouse_person_distinct_id');
  t.equal(new Set(ids.map(({ distinct_id }) => distinct_id)).size, EVENTS);
}

for (const [when, shortened] of Object.entries(SHORTENED)) {
  t.test(`persons that were saved are sent, although their records left the log ${when}`, async (t) => {
    const harness = await savedBefore(t);
    const ends = await endsOf(harness);
    const worker = await harness.start(undefined, { log: shortened(harness.log, ends) });
    await allAreSent(t, harness, ends);
    await worker.close();
  });

  for (const end of ['close', 'abandon'] as const) {
    t.test(
      `persons whose records left the log ${when} are sent after a worker that could not send them (${end})`,
      async (t) => {
        const harness = await savedBefore(t);
        const ends = await endsOf(harness);
        const log = { ...shortened(harness.log, ends), append: away };
        const second = await harness.start(undefined, { log, limits: { closeMs: 200 } });
        await until(() =>
          second.standings().every(({ readPosition, partition }) => readPosition === ends.get(partition)),
        );
        await sleep(systemClock, PROGRESS_MS);
        await second[end]();
        t.equal(await numberOf(harness, IN_FLIGHT), EVENTS, 'the books still know of all of them');
        const third = await harness.start(undefined, { log: shortened(harness.log, ends) });
        await allAreSent(t, harness, ends);
        await third.close();
      },
    );
  }

  t.test(
    `persons whose records left the log ${when} are sent although they cannot be read for some time`,
    async (t) => {
      const harness = await savedBefore(t);
      const ends = await endsOf(harness);
      let asked = 0;
      const wrap = (real: PersonStore): PersonStore => ({
        ...real,
        async findRecorded(persons, groups) {
          if (asked++ >= ends.size) return real.findRecorded(persons, groups);
          await sleep(systemClock, PROGRESS_MS);
          throw new Error('canceling statement due to statement timeout');
        },
      });
      const worker = await harness.start(wrap, {
        log: shortened(harness.log, ends),
        limits: { resendAtOnceMax: 7 },
      });
      await allAreSent(t, harness, ends);
      t.ok(asked > EVENTS / 7, `they were asked for in ${asked} parts`);
      await worker.close();
    },
  );
}
