/** The real worker against a sequential fold, on histories that nobody would write. More: `npm run simulate`. */
import t from 'tap';
import { Metrics } from '../../src/metrics.ts';
import { CLICKHOUSE_TOPICS } from '../../src/storage/topics.ts';
import { runFleet } from './fleet.ts';
import { countTable, tooRare } from './meetings.ts';
import { planOf } from './plan.ts';
import { run } from './run.ts';

const SEEDS = process.env['CI'] === 'true' ? 10_000 : 2_000;
const FAILURES_MAX = 3;
/** 10,000 seeds take 3 to 4 minutes on two cores that nobody else uses. */
const TIMEOUT_MS = 20 * 60 * 1000;

t.setTimeout(TIMEOUT_MS);

void t.test(
  `${SEEDS} random histories end with the persons, ids and groups of a sequential fold`,
  { timeout: TIMEOUT_MS },
  async (t) => {
    const { done, counts, failures } = await runFleet({
      from: 1,
      seeds: SEEDS,
      failuresMax: FAILURES_MAX,
      onFailure: ({ seed, failure, report }) => {
        t.fail(`seed ${seed}: ${failure}`);
        t.comment(report);
      },
    });
    t.same(failures, []);
    t.equal(done, SEEDS);
    t.same(tooRare(counts), [], 'what is interesting happens often enough');
    for (const line of countTable(counts)) t.comment(line);
  },
);

void t.test('histories are real ones', async (t) => {
  const plans = Array.from({ length: 1_000 }, (_, index) => planOf(index + 1));
  const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  t.ok(median(plans.map(({ events }) => events.length)) >= 60, 'records');
  t.ok(median(plans.map(({ events }) => new Set(events.map((one) => one.distinctId)).size)) >= 5, 'ids');
  t.ok(
    plans.every(({ partitions }) => partitions >= 2),
    'partitions',
  );
});

void t.test('the same seed gives the same run', async (t) => {
  const metrics = new Metrics();
  for (const seed of [1, 2, 3, 4, 5]) {
    const [first, second] = [await run(planOf(seed), metrics), await run(planOf(seed), metrics)];
    t.same(second.world.trace, first.world.trace);
    t.same(second.world.store.witness, first.world.store.witness);
    for (const topic of CLICKHOUSE_TOPICS) {
      t.same(second.world.log.readAll(topic), first.world.log.readAll(topic), topic);
    }
  }
});
