/** Events of known persons, each with a `$set` that hardly ever changes something. */
import type { Benchmark } from './benchmark.ts';
import { EVENTS, FLOOR, startWorkerContest, visitOf } from './worker-contest.ts';

export const worker: Benchmark = {
  name: 'worker',
  floor: FLOOR,
  unit: 'µs',
  eventsPerRound: EVENTS,
  rounds: 6,
  start: (parts) => startWorkerContest(parts, eventsOfRound),
};

const eventsOfRound = (round: number) => Array.from({ length: EVENTS }, (_, index) => visitOf(index, round));
