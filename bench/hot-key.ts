/**
 * How long the others wait for their rows while one distinct id sends fifty times as much as all of them together,
 * against how long they wait without it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Parts } from '../src/parts.ts';
import type { AppendRecord, EventLog } from '../src/storage/event-log.ts';
import type { Aside, Benchmark, Contest, Cost } from './benchmark.ts';
import { capturedRecord, clientEvent } from './events.ts';
import { ROWS, startRealWorker } from './real-worker.ts';
import { recordCount, startLog, startPostgres, tempDir, until } from './stores.ts';

/** Each event of the others comes with so many of the hot id. */
const HOT = 50;
const OTHER_PERSONS = 100;
/** All together. */
const OTHERS_PER_SECOND = 20;
const OTHERS = 100;
const PERCENTILE = 0.95;
/** Every so often a part of what is due is appended. */
const TICK_MS = 20;

export const hotKey: Benchmark = {
  name: 'hot-key',
  floor: 'the same events of the others, without the hot distinct id',
  unit: 'µs elapsed',
  // The one that 95 in 100 events of the others are faster than.
  eventsPerRound: 1,
  rounds: 6,
  start: startContest,
};

async function startContest(parts: Parts): Promise<Contest> {
  const dir = await tempDir(parts);
  const log = await startLog(parts, dir);
  const { postgres } = await startPostgres(parts, dir);
  await startRealWorker(parts, log, postgres);
  const rowAtMs = new Map<string, number>();
  await parts.start(
    'reader',
    () =>
      log.tail([ROWS], (records) => {
        const nowMs = performance.now();
        for (const { key } of records) rowAtMs.set(String(key), nowMs);
      }),
    (tail) => tail.close(),
  );

  let count = 0;
  const run = async (hotForEach: number): Promise<Cost> => {
    const ends = (await recordCount(log, ROWS)) + OTHERS * (1 + hotForEach);
    rowAtMs.clear();
    const hot = Array.from({ length: OTHERS * hotForEach }, () => eventOf('hot', count++));
    const others = Array.from({ length: OTHERS }, () => eventOf(`other-${count % OTHER_PERSONS}`, count++));
    const { sentAtMs, tookMs } = await sendEvenly(log, others, hot);
    await until(async () => (await recordCount(log, ROWS)) >= ends);
    await until(() => others.every(({ uuid }) => rowAtMs.has(uuid)));
    const waits = others.map(({ uuid }) => (rowAtMs.get(uuid) ?? Number.NaN) - (sentAtMs.get(uuid) ?? 0));
    return costOf(waits, (OTHERS * (1 + hotForEach) * 1_000) / tookMs);
  };
  return { ours: () => run(HOT), floor: () => run(0) };
}

interface Event {
  readonly uuid: string;
  readonly record: AppendRecord;
}

function eventOf(distinctId: string, visit: number): Event {
  const text = clientEvent({ distinctId, properties: { $set: { visit } } });
  return { uuid: JSON.parse(text).uuid, record: capturedRecord(text) };
}

/** Appends both side by side in even steps. Gives when each of the others was appended, by its uuid. */
async function sendEvenly(
  log: EventLog,
  others: readonly Event[],
  hot: readonly Event[],
): Promise<{ readonly sentAtMs: ReadonlyMap<string, number>; readonly tookMs: number }> {
  const sentAtMs = new Map<string, number>();
  const appends: Promise<unknown>[] = [];
  const lastsMs = (others.length * 1_000) / OTHERS_PER_SECOND;
  const begunAtMs = performance.now();
  let sent = 0;
  let hotSent = 0;
  while (sent < others.length) {
    await delay(TICK_MS);
    const part = Math.min(1, (performance.now() - begunAtMs) / lastsMs);
    const due = others.slice(sent, Math.floor(part * others.length));
    const hotDue = hot.slice(hotSent, Math.floor(part * hot.length));
    sent += due.length;
    hotSent += hotDue.length;
    for (const { uuid } of due) sentAtMs.set(uuid, performance.now());
    if (due.length + hotDue.length > 0)
      appends.push(log.append([...hotDue, ...due].map(({ record }) => record)));
  }
  await Promise.all(appends);
  return { sentAtMs, tookMs: performance.now() - begunAtMs };
}

function costOf(waitsMs: readonly number[], perSecond: number): Cost {
  const rising = waitsMs.toSorted((a, b) => a - b);
  const at = (part: number) => rising[Math.ceil(part * rising.length) - 1] ?? Number.NaN;
  const aside = (what: string, value: number): Aside => ({ what, value, unit: 'ms' });
  return {
    total: at(PERCENTILE) * 1_000,
    asides: [
      aside("the others' median", at(0.5)),
      aside("the others' 95th percentile", at(PERCENTILE)),
      aside('the longest wait of the others', at(1)),
      { what: 'rate of all together', value: perSecond, unit: 'events/s' },
    ],
  };
}
