/** Which faults happen in a round of torture over Kafka: some at once, mostly those that were hit least. */
import {
  type Blow,
  CLUSTER_FAULTS,
  type FaultKind,
  hitAll,
  hitOther,
  hitWorker,
  OTHER_FAULTS,
  visit,
  WORKER_FAULTS,
} from './kafka-torture-faults.ts';
import type { FaultCount } from './kafka-torture-result.ts';
import type { Random } from './random.ts';

/** One round in so many hits all workers in the same way. */
const ALL_IN = 8;
/** In one round of so many, one more worker joins and leaves; or a process that is no worker dies. */
const VISIT_IN = 2;
const OTHER_IN = 6;
/** One fault in so many is any one, and not one that was hit least. */
const ANY_IN = 4;

/** Resolves once everything that was hit is back. */
export async function playRound(blow: Blow, counts: readonly FaultCount[]): Promise<void> {
  const { cluster, random } = blow;
  if (random.integer(ALL_IN) === 0) return hitAll(pick(random, CLUSTER_FAULTS), blow);
  const workers = shuffled(random, [...cluster.workers.keys()]);
  // Often all of them, each in its own way.
  const victims = workers.slice(0, 1 + random.integer(workers.length + 1));
  const hits = new Map(counts.map(({ fault, hit }) => [fault, hit]));
  const blows = victims.map((index) => {
    const kind = next(random, WORKER_FAULTS, hits);
    hits.set(kind, (hits.get(kind) ?? 0) + 1);
    return hitWorker(kind, blow, index);
  });
  if (random.integer(VISIT_IN) === 0) blows.push(visit(blow));
  if (random.integer(OTHER_IN) === 0) blows.push(hitOther(next(random, OTHER_FAULTS, hits), blow));
  // Nothing may be under way any more when one of them fails.
  const ends = await Promise.allSettled(blows);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

function next<Kind extends FaultKind>(
  random: Random,
  kinds: readonly Kind[],
  hits: ReadonlyMap<FaultKind, number>,
): Kind {
  if (random.integer(ANY_IN) === 0) return pick(random, kinds);
  const least = Math.min(...kinds.map((kind) => hits.get(kind) ?? 0));
  return pick(
    random,
    kinds.filter((kind) => (hits.get(kind) ?? 0) === least),
  );
}

function pick<Item>(random: Random, from: readonly Item[]): Item {
  const item = from[random.integer(from.length)];
  if (item === undefined) throw new RangeError('there is nothing to pick from');
  return item;
}

function shuffled(random: Random, some: readonly number[]): readonly number[] {
  return some
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
