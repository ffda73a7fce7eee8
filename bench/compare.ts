/** Lets ours and the floor take turns, and makes ratios of it. */
import type { Benchmark, Contest, Cost, Side } from './benchmark.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Result {
  readonly name: string;
  readonly floor: string;
  readonly eventsPerRound: number;
  readonly rounds: number;
  /** Microseconds of CPU time for each event. */
  readonly oursUs: Spread;
  readonly floorUs: Spread;
  /** Ours ÷ floor of the same round. */
  readonly ratio: Spread;
  /** Microseconds for each event that other processes took for ours: medians. */
  readonly others: Readonly<Record<string, number>>;
}

/**
 * One round to warm up, then `rounds` of them. Who begins alternates, so that a machine that becomes slower or
 * faster does it to both.
 */
export async function compare(benchmark: Benchmark, contest: Contest): Promise<Result> {
  const { name, floor, eventsPerRound, rounds } = benchmark;
  const costs: Record<Side, Cost>[] = [];
  for (let round = 0; round <= rounds; round++) {
    await contest.prepare?.();
    const order: readonly Side[] = round % 2 === 0 ? ['ours', 'floor'] : ['floor', 'ours'];
    const cost: Record<Side, Cost> = { ours: { cpuUs: 0 }, floor: { cpuUs: 0 } };
    for (const side of order) cost[side] = await contest[side]();
    if (round > 0) costs.push(cost);
  }
  const perEvent = (us: number) => us / eventsPerRound;
  const otherNames = new Set(costs.flatMap(({ ours }) => Object.keys(ours.others ?? {})));
  return {
    name,
    floor,
    eventsPerRound,
    rounds,
    oursUs: spread(costs.map(({ ours }) => perEvent(ours.cpuUs))),
    floorUs: spread(costs.map((cost) => perEvent(cost.floor.cpuUs))),
    ratio: spread(costs.map((cost) => cost.ours.cpuUs / cost.floor.cpuUs)),
    others: Object.fromEntries(
      [...otherNames].map((other) => [
        other,
        spread(costs.map(({ ours }) => perEvent(ours.others?.[other] ?? 0))).median,
      ]),
    ),
  };
}

/** One side alone, for a profiler. */
export async function repeat({ rounds }: Benchmark, contest: Contest, side: Side): Promise<void> {
  for (let round = 0; round <= rounds; round++) {
    await contest.prepare?.();
    await contest[side]();
  }
}

function spread(values: readonly number[]): Spread {
  const rising = values.toSorted((a, b) => a - b);
  const at = (index: number) => round3(rising[index] ?? Number.NaN);
  const middle = (rising.length - 1) / 2;
  const median = ((rising[Math.floor(middle)] ?? Number.NaN) + (rising[Math.ceil(middle)] ?? Number.NaN)) / 2;
  return { median: round3(median), min: at(0), max: at(rising.length - 1) };
}

const round3 = (value: number) => Math.round(value * 1000) / 1000;
