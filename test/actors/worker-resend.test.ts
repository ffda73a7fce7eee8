import t from 'tap';
import type { PersonUuid } from '../../src/event/ids.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { workerHarness } from './worker-harness.ts';

const EVENTS = 40;
/** Each offset by a save of its own, with a person of its own. */
const FOLD = `
  INSERT INTO tributary_folded (log_id, topic, partition, from_offset, to_offset, persons)
  SELECT $1, $2, $3, number, number, ARRAY[gen_random_uuid()] FROM generate_series(0, $4 - 1) AS number
  RETURNING persons[1]::text AS person`;

t.test('a replay asks at once for all persons that were saved and may not have been sent', async (t) => {
  const harness = await workerHarness(t);
  await harness.capture(
    Array.from({ length: EVENTS }, (_, number) => ({ event: 'a', distinctId: `ann ${number}` })),
  );
  const logId = harness.log.identity();
  const recorded: string[] = [];
  const store = createPersonStore(harness.postgres);
  for (const { partition, end } of await harness.log.offsets(INGESTION_TOPIC)) {
    await store.acquire({ logId, topic: INGESTION_TOPIC, partition }, 0);
    const { rows } = await harness.postgres.query<{ person: string }>(FOLD, [
      logId,
      INGESTION_TOPIC,
      partition,
      end,
    ]);
    recorded.push(...rows.map(({ person }) => person));
  }
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
  t.same(asked.flat().toSorted(), recorded.toSorted());
  await worker.close();
});
