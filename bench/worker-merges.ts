/**
 * As `worker`, but one event in ten is an `$identify` with `$set`. Half of these name an anonymous id that was there
 * before, in the first half of the round, so that two persons merge; half name one that nobody has seen.
 */
import type { Benchmark } from './benchmark.ts';
import { clientEvent } from './events.ts';
import { EVENTS, FLOOR, personId, personProperties, startWorkerContest, visitOf } from './worker-contest.ts';

export const workerMerges: Benchmark = {
  name: 'worker-merges',
  floor: FLOOR,
  unit: 'µs',
  eventsPerRound: EVENTS,
  rounds: 6,
  start: (parts) => startWorkerContest(parts, eventsOfRound),
};

const HALF = EVENTS / 2;

const eventsOfRound = (round: number) => Array.from({ length: EVENTS }, (_, index) => eventOf(index, round));

function eventOf(index: number, round: number): string {
  const last = index % 10;
  if (index < HALF) return last === 1 ? anonymousVisit(`anonymous-${round}-${index}`) : visitOf(index, round);
  if (last === 1) return identify(index, round, `anonymous-${round}-${index - HALF}`);
  if (last === 6) return identify(index, round, `unseen-${round}-${index}`);
  return visitOf(index, round);
}

const anonymousVisit = (id: string) => clientEvent({ distinctId: id, properties: { $device_id: id } });

const identify = (index: number, round: number, $anon_distinct_id: string) =>
  clientEvent({
    distinctId: personId(index),
    event: '$identify',
    properties: { $anon_distinct_id, $set: { ...personProperties(index), login: `round ${round}` } },
  });
