/**
 * Both workers are restarted, one after the other, while events are held: they go on in time all the same, and no
 * partition is long without an owner.
 */
import { sleep, systemClock } from '../../src/clock.ts';
import { bringUp } from '../support/cluster.ts';
import type { SeenRecord } from '../support/log-watch.ts';
import { problem } from '../support/proof.ts';
import { type FaultOptions, type FaultResult, onCluster } from '../support/scene.ts';
import { type Taken, takings } from '../support/state-watch.ts';
import { foldTimes } from '../support/witness.ts';
import { bothWork } from './kill-worker.ts';

export interface RollingRestartOptions extends FaultOptions {
  readonly holdSeconds: number;
  readonly rounds: number;
}

export const EXIT_MS_MAX = 10_000;
const LATE_MS_MAX = 1_000;
const OWNERLESS_MS_MAX = 2_000;
/** Events that are held at each moment of the restart have come before it. */
const BEFORE_MS = 5_000;
const BETWEEN_MS = 2_000;

export function rollingRestart(options: RollingRestartOptions): Promise<FaultResult> {
  return onCluster({ ...options, heldPerRequest: 4 }, async (scene) => {
    const { cluster, problems, report, facts, watch, patience } = scene;
    const lateMsMax = patience * LATE_MS_MAX;
    let slowestExitMs = 0;
    const firstAtMs = systemClock.now();
    for (let round = 1; round <= options.rounds; round++) {
      for (const [index, worker] of cluster.workers.entries()) {
        await bothWork(scene);
        await sleep(systemClock, index === 0 ? BEFORE_MS : BETWEEN_MS);
        const { held } = await cluster.loader.books();
        const { elapsedMs, code } = await worker.stop();
        slowestExitMs = Math.max(slowestExitMs, elapsedMs);
        if (code !== 0 || elapsedMs > EXIT_MS_MAX) {
          problems.push(`worker ${index + 1} ended with ${code} after ${elapsedMs} ms`);
        }
        report(
          `worker ${index + 1} left within ${elapsedMs} ms, ${held} held; ready again after ${await bringUp(worker)} ms`,
        );
      }
    }
    await bothWork(scene);
    await scene.stopClients();
    // The last ones go on, too.
    await sleep(systemClock, options.holdSeconds * 1_000 + LATE_MS_MAX);
    facts['slowest exit'] = `${slowestExitMs} ms`;

    const folds = await foldTimes(cluster.postgres);
    const taken = await takings(cluster.workers);
    const releases = releasesOf([...watch.records.values()], folds, taken, options.holdSeconds * 1_000);
    const latestFirst = releases.toSorted((a, b) => b.lateMs - a.lateMs);
    facts['held events'] = releases.length;
    facts['latest release'] = latestFirst[0] === undefined ? 'none' : tell(latestFirst[0]);
    const late = latestFirst.filter(({ lateMs }) => lateMs > lateMsMax);
    problems.push(...problem(late.map(tell), `held events went on more than ${lateMsMax} ms late`));
    const ownerless = ownerlessMs(folds, taken, firstAtMs);
    facts['without an owner'] = `at most ${ownerless.toFixed()} ms`;
    if (ownerless > patience * OWNERLESS_MS_MAX)
      problems.push(`a partition had no owner for ${ownerless.toFixed()} ms`);
  });
}

/** A held event that went on. Times are milliseconds since the epoch. */
interface Release {
  readonly source: string;
  readonly dueAtMs: number;
  /** When the owner that released it had taken its partition. */
  readonly ownerAtMs: number;
  /** When that owner had caught up with what came before the due time. */
  readonly caughtUpAtMs: number;
  readonly foldedAtMs: number;
  /** After the latest of the three. */
  readonly lateMs: number;
}

function releasesOf(
  records: readonly SeenRecord[],
  folds: ReadonlyMap<string, number>,
  taken: ReadonlyMap<number, readonly Taken[]>,
  holdMs: number,
): readonly Release[] {
  const foldOf = ({ partition, offset }: SeenRecord): number => folds.get(`${partition}:${offset}`) ?? 0;
  const firstOf = new Map<string, SeenRecord>();
  for (const record of records) if (!firstOf.has(record.distinctId)) firstOf.set(record.distinctId, record);
  const others = records.filter(({ distinctId }) => !distinctId.startsWith('held-'));
  return records.flatMap((record): Release[] => {
    const first = firstOf.get(record.distinctId);
    const foldedAtMs = foldOf(record);
    if (first === undefined || foldedAtMs === 0 || !record.distinctId.startsWith('held-')) return [];
    // Those of an id go together, when the first one's time is over.
    const dueAtMs = first.recordedAtMs + holdMs;
    const ownerAtMs = taken.get(record.partition)?.findLast(({ atMs }) => atMs <= foldedAtMs)?.atMs ?? 0;
    const caughtUpAtMs =
      ownerAtMs > dueAtMs ? caughtUp(others, record.partition, dueAtMs, ownerAtMs, foldOf) : 0;
    const lateMs = foldedAtMs - Math.max(dueAtMs, ownerAtMs, caughtUpAtMs);
    return [
      {
        source: `${record.partition}:${record.offset}`,
        dueAtMs,
        ownerAtMs,
        caughtUpAtMs,
        foldedAtMs,
        lateMs,
      },
    ];
  });
}

/** For people: times from the due time on. */
function tell({ source, dueAtMs, ownerAtMs, caughtUpAtMs, foldedAtMs, lateMs }: Release): string {
  const after = (ms: number): string => (ms === 0 ? 'before' : (ms - dueAtMs).toFixed());
  return `${source} ${lateMs.toFixed()} ms (taken ${after(ownerAtMs)}, caught up ${after(caughtUpAtMs)}, folded ${after(foldedAtMs)} ms after it was due)`;
}

/** When the owner had folded what came before the due time and was left to it. */
function caughtUp(
  others: readonly SeenRecord[],
  partition: number,
  dueAtMs: number,
  ownerAtMs: number,
  foldOf: (record: SeenRecord) => number,
): number {
  const folds = others
    .filter((other) => other.partition === partition && other.recordedAtMs <= dueAtMs)
    .map(foldOf)
    .filter((atMs) => atMs >= ownerAtMs);
  return folds.reduce((latest, atMs) => Math.max(latest, atMs), 0);
}

/** The longest between the last that an owner folded of a partition and when the next one had taken it. */
function ownerlessMs(
  folds: ReadonlyMap<string, number>,
  taken: ReadonlyMap<number, readonly Taken[]>,
  sinceMs: number,
): number {
  const gaps = [...taken].flatMap(([partition, all]) => {
    const times = [...folds]
      .flatMap(([source, atMs]) => (source.startsWith(`${partition}:`) ? [atMs] : []))
      .sort((a, b) => a - b);
    return all.flatMap(({ atMs }) => {
      const last = times.findLast((time) => time < atMs);
      return last === undefined || atMs < sinceMs ? [] : [atMs - last];
    });
  });
  return Math.max(0, ...gaps);
}
