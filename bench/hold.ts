/**
 * What it costs to hold events: memory while all of them wait, and how late they go on when all of them are due at the
 * same moment, that is as late as the worker is slow.
 */
import type { WorkerLimits } from '../src/actors/session.ts';
import { derivePersonUuid } from '../src/ids.ts';
import { LIMITS } from '../src/limits.ts';
import type { Parts } from '../src/parts.ts';
import type { AppendRecord, EventLog } from '../src/storage/event-log.ts';
import type { Aside, Benchmark, Contest } from './benchmark.ts';
import { capturedRecord, clientEvent } from './events.ts';
import { ROWS, startRealWorker } from './real-worker.ts';
import { type SettableClock, settableClock } from './settable-clock.ts';
import { recordCount, startLog, startPostgres, tempDir, until } from './stores.ts';

const EVENTS = 100_000;
const FEW_EVENTS = 1_000;
/** Longer than it takes to have them all held; the clock is set forward then. */
const HOLD_MS = 10 * 60 * 1000;
/** Between setting the clock and the moment in which they are due. */
const AHEAD_MS = 500;
const MIB = 1024 * 1024;
const HOLD_BYTES_MAX = 2 * 1024 * MIB;
const APPEND_EVENTS = 2_000;

/** The caches are full after the round that warms up: what they have of the held events is not counted as theirs. */
const PERSON_CACHE_BYTES = 16 * MIB;
const LIMITS_OF_WORKER: WorkerLimits = {
  ...LIMITS.worker,
  identityCacheBytesMax: 32 * MIB,
  duplicatesMax: 20_000,
  // Each one is told.
  holdNoticeEveryMs: 0,
};

export const hold: Benchmark = {
  name: 'hold',
  floor: 'the same records as strings in an array',
  unit: 'bytes',
  eventsPerRound: EVENTS,
  rounds: 1,
  start: startContest,
};

async function startContest(parts: Parts): Promise<Contest> {
  const dir = await tempDir(parts);
  const log = await startLog(parts, dir);
  const { postgres } = await startPostgres(parts, dir);
  const clock = settableClock();
  let held = 0;
  let wentOnAtMs = new Map<string, number>();
  await startRealWorker(parts, log, postgres, {
    clock,
    holdMs: HOLD_MS,
    holdBytesMax: HOLD_BYTES_MAX,
    personCacheBytesMax: PERSON_CACHE_BYTES,
    limits: LIMITS_OF_WORKER,
    onHeld: ({ events }) => {
      held = events;
    },
    // Asked first when the event goes to its person, whom nobody knows.
    derivePersonUuid: (teamId, distinctId) => {
      if (!wentOnAtMs.has(distinctId)) wentOnAtMs.set(distinctId, clock.monotonic());
      return derivePersonUuid(teamId, distinctId);
    },
  });

  let round = 0;
  const holdAndRelease = async (events: number) => {
    const rows = (await recordCount(log, ROWS)) + events;
    const beforeBytes = memoryBytes();
    held = 0;
    const recordedAtMs = clock.now();
    await append(log, events, `unknown-${round++}`, recordedAtMs);
    await until(() => held === events);
    const heldBytes = memoryBytes();

    const dueAtMs = makeDue(clock, recordedAtMs);
    await until(async () => (await recordCount(log, ROWS)) >= rows);
    const allRowsMs = clock.monotonic() - dueAtMs;
    const delaysMs = [...wentOnAtMs.values()].map((atMs) => atMs - dueAtMs);
    wentOnAtMs = new Map();
    if (delaysMs.length !== events) throw new Error(`${delaysMs.length} of ${events} held events went on`);
    return { bytes: heldBytes - beforeBytes, late: lateness(events, delaysMs, allRowsMs) };
  };

  return {
    async ours() {
      const many = await holdAndRelease(EVENTS);
      const few = await holdAndRelease(FEW_EVENTS);
      return { total: many.bytes, asides: [...many.late, ...few.late] };
    },
    async floor() {
      const before = memoryBytes();
      const texts: string[] = [];
      for (let index = 0; index < EVENTS; index++) texts.push(textOf(heldRecord('floor', index)));
      const total = memoryBytes() - before;
      texts.length = 0;
      return { total };
    },
  };
}

async function append(log: EventLog, events: number, prefix: string, recordedAtMs: number): Promise<void> {
  for (let start = 0; start < events; start += APPEND_EVENTS) {
    const count = Math.min(APPEND_EVENTS, events - start);
    const records = Array.from({ length: count }, (_, index) => heldRecord(prefix, start + index));
    await log.append(records.map((record) => ({ ...record, timestamp: recordedAtMs })));
  }
}

/** Each is of an id of its own, which nobody knows. */
const heldRecord = (prefix: string, index: number): AppendRecord =>
  capturedRecord(clientEvent({ distinctId: `${prefix}-${index}` }));

const textOf = ({ value }: AppendRecord): string => Buffer.from(value).toString();

/** Gives the moment of the monotonic clock in which everything recorded then is due. */
function makeDue(clock: SettableClock, recordedAtMs: number): number {
  const dueAtMs = recordedAtMs + HOLD_MS;
  clock.setForwardTo(dueAtMs - AHEAD_MS);
  return clock.monotonic() + dueAtMs - clock.now();
}

/** What is alive, in the heap and outside of it. */
function memoryBytes(): number {
  // What the first one finalizes, the second one frees.
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function lateness(events: number, delaysMs: readonly number[], allRowsMs: number): Aside[] {
  const rising = delaysMs.toSorted((a, b) => a - b);
  const at = (part: number) => rising[Math.ceil(part * (events - 1))] ?? Number.NaN;
  const aside = (what: string, value: number): Aside => ({
    what: `${events} due at once: ${what}`,
    value,
    unit: 'ms later',
  });
  return [
    aside('the first goes on', at(0)),
    aside('the median', at(0.5)),
    aside('the 99th percentile', at(0.99)),
    aside('the last', at(1)),
    aside('all rows are there', allRowsMs),
  ];
}
