/** Lets ours and the floor take turns, and makes ratios of it. */
import type { Aside, Benchmark, Contest, Cost, Side, Unit } from './benchmark.ts';

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
  readonly unit: Unit;
  /** Units for each event. */
  readonly oursEach: Spread;
  readonly floorEach: Spread;
  /** Ours ÷ floor of the same round. */
  readonly ratio: Spread;
  readonly asides: readonly AsideOfBoth[];
}

/** What was seen beside: medians of the rounds, of the sides that saw it. */
export interface AsideOfBoth {
  readonly what: string;
  readonly unit: string;
  readonly ours?: number;
  readonly floor?: number;
}

/**
 * One round to warm up, then `rounds` of them. Who begins alternates, so that a machine that becomes slower or
 * faster does it to both.
 */
export async function compare(benchmark: Benchmark, contest: Contest): Promise<Result> {
  const { name, floor, unit, eventsPerRound, rounds } = benchmark;
  const costs: Record<Side, Cost>[] = [];
  for (let round = 0; round <= rounds; round++) {
    await contest.prepare?.();
    const order: readonly Side[] = round % 2 === 0 ? ['ours', 'floor'] : ['floor', 'ours'];
    const cost: Record<Side, Cost> = { ours: { total: 0 }, floor: { total: 0 } };
    for (const side of order) cost[side] = await contest[side]();
    if (round > 0) costs.push(cost);
  }
  const each = ({ total }: Cost) => total / eventsPerRound;
  return {
    name,
    floor,
    unit,
    eventsPerRound,
    rounds,
    oursEach: spread(costs.map(({ ours }) => each(ours))),
    floorEach: spread(costs.map((cost) => each(cost.floor))),
    ratio: spread(costs.map((cost) => cost.ours.total / cost.floor.total)),
    asides: asidesOf(costs),
  };
}

/** One side alone, for a profiler. */
export async function repeat({ rounds }: Benchmark, contest: Contest, side: Side): Promise<void> {
  for (let round = 0; round <= rounds; round++) {
    await contest.prepare?.();
    await contest[side]();
  }
}

/** One for each thing that was seen. */
function asidesOf(costs: readonly Record<Side, Cost>[]): AsideOfBoth[] {
  const found = new Map<string, AsideOfBoth>();
  for (const side of ['ours', 'floor'] as const) {
    const seen = costs.flatMap((cost) => cost[side].asides ?? []);
    for (const { what, unit } of seen) {
      const median = medianOf(seen.filter((aside) => aside.what === what));
      found.set(what, { ...found.get(what), what, unit, [side]: median });
    }
  }
  return [...found.values()];
}

const medianOf = (asides: readonly Aside[]): number => spread(asides.map(({ value }) => value)).median;

function spread(values: readonly number[]): Spread {
  const rising = values.toSorted((a, b) => a - b);
  const at = (index: number) => round3(rising[index] ?? Number.NaN);
  const middle = (rising.length - 1) / 2;
  const median = ((rising[Math.floor(middle)] ?? Number.NaN) + (rising[Math.ceil(middle)] ?? Number.NaN)) / 2;
  return { median: round3(median), min: at(0), max: at(rising.length - 1) };
}

const round3 = (value: number) => Math.round(value * 1000) / 1000;
