/** What one seed means: a history, and the world in which it happens. */
import { LIMITS } from '../../src/limits.ts';
import { type HistoryEvent, randomHistory } from './history.ts';
import { Random } from './random.ts';
import type { Weather } from './sim-wire.ts';
import { EPOCH_MS, type ProcessOptions } from './world.ts';

export interface Stop {
  /** How many steps of calls happen before it: of all calls, or of those with this name. */
  readonly step: number;
  readonly of: 'every call' | 'save' | 'insert';
  readonly kind: 'crash' | 'stop';
  /** Milliseconds until the next process starts. */
  readonly downMs: number;
}

export interface Plan {
  readonly seed: number;
  readonly events: readonly HistoryEvent[];
  readonly partitions: number;
  readonly process: ProcessOptions;
  /** Distinct ids that one merge may move. */
  readonly mergeIdsMax: number;
  readonly weather: Weather;
  /** Asked for; the seed may have fewer. */
  readonly processesMax: number;
  /** When a process begins for the first time: one entry for each. */
  readonly startsMs: readonly [number, ...number[]];
  readonly stops: readonly Stop[];
  /** Every bound is small, so that all back-pressure runs. */
  readonly small: boolean;
  /** Nothing goes wrong and nothing is full: events are held for as long as they should be, and no longer. */
  readonly calm: boolean;
  /** Processes end and bounds are small, but no held event has to go early: nothing is slow, and all fit in memory. */
  readonly patient: boolean;
  /** What becomes of the lists of unfinished offsets whenever a process has ended. */
  readonly spoils: 'lost' | 'old' | undefined;
  /** When somebody asks for everything of a partition that is still in the log to be read again. */
  readonly replayAtMs: number | undefined;
  /** Chance of the world itself: another history leaves it as it is. */
  readonly worldSeed: number;
}

/** No history has more distinct ids. */
export const IDS_MAX = 20;

const FAIR: Weather = { delayMsMax: 2, failures: 0, fairFromMs: 0 };
const HOLD_MS = 2_000;
const LARGE = 64 * 1024 * 1024;

const PROCESSES_MAX = 2;

/** `processesMax`: fewer of them than the seed would have. */
export function planOf(seed: number, processesMax = PROCESSES_MAX): Plan {
  const random = new Random(seed);
  const events = randomHistory(random.fork(), EPOCH_MS);
  const lastMs = events.at(-1)?.atMs ?? 0;
  const small = random.chance(0.4);
  const stormy = random.chance(0.3);
  const stopCount = random.chance(0.35) ? random.int(1, 2) : 0;
  const process = processOptions(random.fork(), small);
  const isAlone = random.chance(0.8);
  const secondMs = random.int(0, Math.floor(lastMs / 3));
  const isUndisturbed = isAlone && !stormy && stopCount === 0;
  return {
    seed,
    events,
    partitions: random.int(2, 4),
    small,
    calm: isUndisturbed && !small,
    patient:
      isAlone && !stormy && process.holdBytesMax === LARGE && (!small || process.limits.flushLingerMs <= 5),
    process,
    weather: stormy
      ? {
          delayMsMax: random.pick([2, 50, 300]),
          failures: random.pick([0.02, 0.1]),
          fairFromMs: lastMs + 5_000,
        }
      : FAIR,
    mergeIdsMax: random.chance(0.2) ? random.int(1, 4) : Number.POSITIVE_INFINITY,
    processesMax,
    startsMs: isAlone || processesMax < 2 ? [0] : [0, secondMs],
    stops: Array.from({ length: stopCount }, () => ({
      ...moment(random, events.length),
      kind: random.chance(0.75) ? 'crash' : 'stop',
      downMs: random.pick([0, 300, 5_000]),
    })),
    worldSeed: random.int(0, 2 ** 31),
    spoils: stopCount > 0 && random.chance(0.15) ? random.pick(['lost', 'old']) : undefined,
    replayAtMs: stopCount > 0 && random.chance(0.1) ? random.int(1, lastMs) : undefined,
  };
}

function moment(random: Random, eventCount: number): Pick<Stop, 'step' | 'of'> {
  const of = random.pick(['every call', 'every call', 'save', 'insert']);
  return { of, step: random.int(1, of === 'every call' ? 60 + eventCount * 5 : Math.ceil(eventCount / 3)) };
}

function processOptions(random: Random, small: boolean): ProcessOptions {
  const holdMs = random.chance(0.1) ? 0 : HOLD_MS;
  const lingerMs = random.pick([0, 5, 20, 300]);
  const limits = {
    ...LIMITS.worker,
    flushLingerMs: lingerMs,
    progressEveryMs: random.pick([50, 1_000]),
    // Their places are made in advance, anew for each session.
    warningsRememberedMax: 100,
    groupTypesCachedMax: random.pick([1, 100]),
  };
  if (!small) {
    return { limits, holdMs, holdBytesMax: LARGE, personCacheBytesMax: LARGE };
  }
  const few = (max: number) => random.pick([1, random.int(1, max), 1_000]);
  return {
    limits: {
      ...limits,
      pollRecordsMax: few(5),
      inFlightPerPartitionMax: few(10),
      inFlightBytesMax: random.pick([2_000, LIMITS.worker.inFlightBytesMax]),
      inFlightPerPersonMax: few(3),
      dispatchEntriesMax: few(6),
      flushEventsMax: few(6),
      flushBytesMax: random.pick([500, LIMITS.worker.flushBytesMax]),
      outboxBatchesMax: few(2),
      appendRecordsMax: few(3),
      groupCacheBytesMax: random.pick([1, 2_000, LIMITS.worker.groupCacheBytesMax]),
      releasedInFlightMax: few(3),
      identityCacheBytesMax: random.pick([1, 1_000, LIMITS.worker.identityCacheBytesMax]),
    },
    holdMs,
    holdBytesMax: random.pick([1, 1_500, LARGE, LARGE, LARGE]),
    personCacheBytesMax: random.pick([1, 10_000, LARGE]),
  };
}
