/** What one seed means: a history, and the world in which it happens. */
import { LIMITS } from '../../src/limits.ts';
import { type HistoryEvent, randomHistory } from './history.ts';
import type { ProcessOptions } from './process.ts';
import { Random } from './random.ts';
import type { TailWeather } from './sim-tail.ts';
import type { Weather } from './sim-wire.ts';
import { EPOCH_MS } from './world.ts';

/**
 * Something happens to a process, or to the world, in the middle of one of its calls.
 * crash: as kill -9. stop: as SIGTERM. freeze: as SIGSTOP, and its groups may lose sight of it. cut off: its groups go
 * on without it, and it does not know. move: partitions go from one living process to another. failover: Postgres loses
 * its last transactions.
 */
export interface Incident {
  readonly kind: 'crash' | 'stop' | 'freeze' | 'cut off' | 'move' | 'failover';
  /** How many steps of calls happen before it: of all calls, or of those with this name. */
  readonly step: number;
  readonly of: 'every call' | 'save' | 'answer to save' | 'insert';
  /** Milliseconds until the next process starts, or this one goes on or hears of it. */
  readonly forMs: number;
  /** Of a frozen process: its groups do not wait for it. Of one that is frozen or cut off: it dies in the end. */
  readonly isExpelled: boolean;
  readonly isFatal: boolean;
}

export interface Plan {
  readonly seed: number;
  readonly events: readonly HistoryEvent[];
  readonly partitions: number;
  readonly process: ProcessOptions;
  /** Distinct ids that one merge may move. */
  readonly mergeIdsMax: number;
  readonly weather: Weather;
  readonly tail: TailWeather;
  /** Asked for; the seed may have fewer. */
  readonly processesMax: number;
  /** When a process begins for the first time: one entry for each. */
  readonly startsMs: readonly [number, ...number[]];
  readonly incidents: readonly Incident[];
  /** One of the incidents is a failover: what was committed may be lost. */
  readonly canLose: boolean;
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

const HOLD_MS = 2_000;
const LARGE = 64 * 1024 * 1024;

const PROCESSES_MAX = 3;

/** `processesMax`: fewer of them than the seed would have. */
export function planOf(seed: number, processesMax = PROCESSES_MAX): Plan {
  const random = new Random(seed);
  const events = randomHistory(random.fork(), EPOCH_MS);
  const lastMs = events.at(-1)?.atMs ?? 0;
  const small = random.chance(0.4);
  const stormy = random.chance(0.3);
  const process = processOptions(random.fork(), small);
  const processCount = Math.min(processesMax, random.pick([1, 1, 2, 2, 3]));
  const isAlone = processCount === 1;
  const starts = Array.from({ length: PROCESSES_MAX - 1 }, () =>
    random.chance(0.6) ? 0 : random.int(0, Math.floor(lastMs / 2)),
  );
  const incidents = incidentsOf(random.fork(), events.length, processCount);
  const weather = weatherOf(random.fork(), stormy, !isAlone, lastMs);
  const isUndisturbed = isAlone && !stormy && incidents.length === 0;
  return {
    seed,
    events,
    partitions: random.int(2, 4),
    small,
    calm: isUndisturbed && !small,
    patient:
      !stormy &&
      weather.rollbacks === 0 &&
      weather.delayMsMax <= (small ? 2 : 20) &&
      incidents.every(({ kind }) => isAlone && (kind === 'crash' || kind === 'stop')) &&
      process.holdBytesMax === LARGE &&
      (!small || process.limits.flushLingerMs <= 5),
    process,
    weather,
    tail: tailOf(random.fork(), isAlone, lastMs),
    mergeIdsMax: random.chance(0.2) ? random.int(1, 4) : Number.POSITIVE_INFINITY,
    processesMax,
    startsMs: [0, ...starts.slice(0, processCount - 1)],
    incidents,
    canLose: incidents.some(({ kind }) => kind === 'failover'),
    worldSeed: random.int(0, 2 ** 31),
    spoils: incidents.length > 0 && random.chance(0.15) ? random.pick(['lost', 'old']) : undefined,
    replayAtMs: incidents.length > 0 && random.chance(0.1) ? random.int(1, lastMs) : undefined,
  };
}

function incidentsOf(random: Random, eventCount: number, processCount: number): readonly Incident[] {
  const isAlone = processCount === 1;
  if (random.chance(isAlone ? 0.6 : 0.3)) return [];
  const isFailover = random.chance(0.1);
  const kinds = isAlone
    ? { crash: 10, stop: 3, freeze: 2, 'cut off': 1, move: 0 }
    : { crash: 5, stop: 3, freeze: 6, 'cut off': 6, move: 8 };
  return Array.from({ length: random.int(1, isAlone ? 2 : 4) }, (_, index) => {
    const of = random.pick(['every call', 'every call', 'save', 'answer to save', 'insert']);
    const steps = of === 'every call' ? 60 + eventCount * 5 : Math.ceil(eventCount / 3);
    return {
      kind: isFailover && index === 0 ? 'failover' : random.weighted(kinds),
      step: random.int(1, steps),
      of,
      forMs: random.pick([0, 20, 300, 1_000, 5_000]),
      isExpelled: random.chance(0.7),
      isFatal: random.chance(0.3),
    };
  });
}

function weatherOf(random: Random, stormy: boolean, isShared: boolean, lastMs: number): Weather {
  const fairFromMs = lastMs + 5_000;
  if (!stormy) {
    const rollbacks = isShared && random.chance(0.3) ? 0.02 : 0;
    return { delayMsMax: isShared ? random.pick([2, 2, 20, 100]) : 2, failures: 0, rollbacks, fairFromMs };
  }
  const failures = random.pick([0.02, 0.1]);
  return { delayMsMax: random.pick([2, 50, 300]), failures, rollbacks: failures / 2, fairFromMs };
}

function tailOf(random: Random, isAlone: boolean, lastMs: number): TailWeather {
  const fromMs = random.int(0, lastMs);
  return {
    delayMsMax: isAlone ? random.pick([0, 0, 2_000]) : random.pick([0, 5, 50, 500, 4_000]),
    repeats: random.pick([0, 0, 0.2]),
    silent: random.chance(0.2) ? { fromMs, untilMs: fromMs + random.int(100, 10_000) } : undefined,
  };
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
      turnEventsMax: few(3),
      flushBytesMax: random.pick([500, LIMITS.worker.flushBytesMax]),
      outboxBatchesMax: few(2),
      outboxBulkMax: few(3),
      outboxBulkPartMax: few(2),
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
