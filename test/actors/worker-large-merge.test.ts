import t from 'tap';
import { asDistinctId } from '../../src/event/ids.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { LogUnavailableError } from '../../src/storage/event-log.ts';
import { fillIds } from '../support/large-persons.ts';
import { TEAM, workerHarness } from './worker-harness.ts';

const IDS = 25;
const LIMITS = { outboxBulkPartMax: 10 };
const SET = { $set: { plan: 'free' } };

t.test('a merge of which some ids are not told yet has its row, no fate, and is made whole', async (t) => {
  const harness = await workerHarness(t);
  const { log } = harness;
  let told = 0;
  let refused = 0;
  const first = await harness.start(undefined, {
    limits: LIMITS,
    log: {
      append: async (records) => {
        const mappings = records.filter(({ topic }) => topic === 'clickhouse_person_distinct_id').length;
        if (told + mappings > IDS) {
          refused += 1;
          throw new LogUnavailableError('no answer');
        }
        told += mappings;
        return log.append(records);
      },
    },
  });
  await harness.capture(
    ['large', 'small'].map((distinctId) => ({ event: 'hi', distinctId, properties: SET })),
  );
  await harness.settled(2);
  await fillIds(harness.postgres, derivePersonUuid(TEAM, asDistinctId('large')), 'large', IDS);
  await harness.capture([
    { event: '$merge_dangerously', distinctId: 'small', properties: { alias: 'large' } },
  ]);
  while (refused === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const rows = await harness.read('clickhouse_events_json');
  t.ok(rows.some(({ event }) => event === '$merge_dangerously'));
  t.ok(told > 2 && told < IDS, `${told} mappings`);
  await first.close();

  const second = await harness.start();
  t.match(await harness.settled(3), { rows: 3, imbalance: 0 });
  const mappings = await harness.read('clickhouse_person_distinct_id');
  const small = derivePersonUuid(TEAM, asDistinctId('small'));
  const moved = mappings.filter(({ person_id }) => person_id === small);
  t.equal(new Set(moved.map(({ distinct_id }) => distinct_id)).size, IDS + 1);
  await second.close();
});
