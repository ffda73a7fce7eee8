/** One seed from beginning to end: run, judged, counted and, if it fails, made short enough to read. */
import { Metrics } from '../../src/metrics.ts';
import { type Counts, count } from './meetings.ts';
import { type Plan, planOf } from './plan.ts';
import { report } from './report.ts';
import { type Ran, run } from './run.ts';
import { shrink } from './shrink.ts';
import { judge, type Verdict } from './verdict.ts';

export interface FailedSeed {
  readonly seed: number;
  /** The first thing that does not hold. */
  readonly failure: string;
  /** Of the shrunk history. */
  readonly records: number;
  /** The shrunk history. */
  readonly report: string;
}

export interface Examined {
  readonly ran: Ran;
  readonly verdict: Verdict;
  readonly failed: FailedSeed | undefined;
}

export interface ExamineOptions {
  readonly processesMax: number | undefined;
  /** Of the workers. */
  readonly metrics: Metrics;
  readonly counts: Counts;
  readonly withTrace: boolean;
}

export async function examine(
  seed: number,
  { processesMax, metrics, counts, withTrace }: ExamineOptions,
): Promise<Examined> {
  const ran = await run(planOf(seed, processesMax), metrics);
  const verdict = judge(ran);
  count(counts, ran, verdict);
  const [failure] = verdict.failures;
  if (failure === undefined) return { ran, verdict, failed: undefined };
  // What happens while it is made shorter is not counted.
  const apart = new Metrics();
  const shrunk = await run(await shrink(ran.plan, failsLike(failure, apart)), apart);
  const text = report(shrunk, judge(shrunk), withTrace);
  return { ran, verdict, failed: { seed, failure, records: shrunk.records.length, report: text } };
}

/** What is wrong, without the names of records, ids and persons. */
const kindOf = (failure: string): string => failure.replaceAll(/\S*\d\S*/g, '#').replaceAll(/[[{].*/g, '');

/** Whether a plan fails as another one did. */
const failsLike =
  (failure: string, metrics: Metrics) =>
  async (plan: Plan): Promise<boolean> =>
    judge(await run(plan, metrics)).failures.some((one) => kindOf(one) === kindOf(failure));
