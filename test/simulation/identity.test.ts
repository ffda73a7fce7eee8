/**
 * The real worker against a sequential fold, on histories that nobody would write. `SEED=123` replays one and prints
 * it; `FROM=… SEEDS=…` runs others than the usual ones.
 */
import t from 'tap';
import { Metrics } from '../../src/metrics.ts';
import { CLICKHOUSE_TOPICS } from '../../src/storage/topics.ts';
import { type Counts, count, workerCounts } from './meetings.ts';
import { type Plan, planOf } from './plan.ts';
import { report } from './report.ts';
import { run } from './run.ts';
import { shrink } from './shrink.ts';
import { judge } from './verdict.ts';

const { SEED, SEEDS = '2000', FROM = '1' } = process.env;
const FAILURES_MAX = 3;
/** The usual ones take half a minute; a million take a night. */
const TIMEOUT_MS = 24 * 60 * 60 * 1000;

const metrics = new Metrics();

/** What is wrong, without the names of records, ids and persons. */
const kindOf = (failure: string): string => failure.replaceAll(/\S*\d\S*/g, '#').replaceAll(/[[{].*/g, '');

/** Whether a plan fails as another one did. */
const failsLike =
  (failure: string) =>
  async (plan: Plan): Promise<boolean> =>
    judge(await run(plan, metrics)).failures.some((one) => kindOf(one) === kindOf(failure));

t.setTimeout(TIMEOUT_MS);

void t.test(
  `${SEED ?? SEEDS} random histories end with the persons, ids and groups of a sequential fold`,
  { timeout: TIMEOUT_MS },
  async (t) => {
    const counts: Counts = new Map();
    const [from, to] =
      SEED === undefined ? [Number(FROM), Number(FROM) + Number(SEEDS)] : [Number(SEED), Number(SEED) + 1];
    let failed = 0;
    for (let seed = from; seed < to && failed < FAILURES_MAX; seed++) {
      const ran = await run(planOf(seed), metrics);
      const verdict = judge(ran);
      count(counts, ran, verdict);
      if (SEED !== undefined) t.comment(report(ran, verdict, true));
      const [failure] = verdict.failures;
      if (failure === undefined) continue;
      failed += 1;
      t.fail(`seed ${seed}: ${failure}`);
      const shrunk = await run(await shrink(ran.plan, failsLike(failure)), metrics);
      t.comment(report(shrunk, judge(shrunk), SEED !== undefined));
    }
    t.equal(failed, 0);
    for (const [name, total] of [...counts, ...(await workerCounts(metrics))]) t.comment(`${total} ${name}`);
  },
);

void t.test('the same seed gives the same run', async (t) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const [first, second] = [await run(planOf(seed), metrics), await run(planOf(seed), metrics)];
    t.same(second.world.trace, first.world.trace);
    t.same(second.world.store.witness, first.world.store.witness);
    for (const topic of CLICKHOUSE_TOPICS) {
      t.same(second.world.log.readAll(topic), first.world.log.readAll(topic), topic);
    }
  }
});
