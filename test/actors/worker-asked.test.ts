/** `npm run replay`: what somebody asks for is sent again, by a worker that runs or by the next one. */
import t from 'tap';
import { askReplay } from '../../src/storage/postgres/partition-rows.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { until } from '../support/event-log.ts';
import { type ClientEvent, type Harness, workerHarness } from './worker-harness.ts';

t.setTimeout(600_000);

const EVENTS: readonly ClientEvent[] = [1, 2, 3, 4].map((step) => ({
  event: 'e',
  distinctId: 'ann',
  properties: { $set: { step } },
}));

async function partitionOfAnn({ log }: Harness): Promise<number> {
  const ends = await log.offsets(INGESTION_TOPIC);
  return ends.find(({ end }) => end > 0)?.partition ?? -1;
}

const rowsOf = async (harness: Harness) => harness.read('clickhouse_events_json');
const versionOf = async ({ postgres }: Harness) =>
  (await postgres.query('SELECT version, properties FROM posthog_person')).rows;

for (const when of ['to a running worker', 'while no worker runs'] as const) {
  t.test(`a replay that is asked for ${when} sends rows again, and folds nothing twice`, async (t) => {
    const harness = await workerHarness(t);
    const changed = { limits: { progressIdleEveryMs: 200, progressEveryMs: 50, fencedBackoffMs: 50 } };
    const first = await harness.start(undefined, changed);
    await harness.capture(EVENTS);
    t.match(await harness.settled(4), { rows: 4 });
    const before = await versionOf(harness);
    const partition = await partitionOfAnn(harness);
    if (when === 'while no worker runs') await first.close();
    await askReplay(harness.postgres, harness.log.identity(), partition, 2);
    const second = when === 'while no worker runs' ? await harness.start(undefined, changed) : first;
    await until(async () => (await rowsOf(harness)).length === 6);
    t.match(await harness.settled(4), { rows: 4, imbalance: 0, in_flight: 0 });
    const rows = await rowsOf(harness);
    for (const again of new Set(rows.map(({ uuid }) => uuid))) {
      const [one = 0, other = one] = rows
        .filter(({ uuid }) => uuid === again)
        .map(({ _timestampMs: ms }) => Number(ms));
      t.ok([0, 1_000].includes(Math.abs(one - other)), 'what is sent again loses to the first one');
    }
    const copies = rows.length - new Set(rows.map((row) => `${row['uuid']} ${row['_timestampMs']}`)).size;
    t.equal(copies, 0);
    t.same(await versionOf(harness), before);
    await new Promise((resolve) => setTimeout(resolve, 500));
    t.equal((await rowsOf(harness)).length, 6, 'once, and not at every start');
    await second.close();
  });
}
