/** kill -9 to one of two workers, again and again, while events are held. */
import { sleep, systemClock } from '../../src/clock.ts';
import { bringUp } from '../support/cluster.ts';
import { type FaultOptions, type FaultResult, onCluster, type Scene } from '../support/scene.ts';
import { partitionsOf } from '../support/state-watch.ts';

/** The group takes a dead member's partitions away after its session timeout; the next owner needs a moment. */
const SESSION_TIMEOUT_MS = 10_000;
const TAKEOVER_MS = 3_000;
const GOES_ON_MS = 60_000;
const REJOIN_MS = 60_000;
const POLL_MS = 50;
/** Held events come and go before each kill. */
const LOAD_MS = 1_500;

export interface KillWorkerOptions extends FaultOptions {
  readonly kills: number;
}

export function killWorker(options: KillWorkerOptions): Promise<FaultResult> {
  return onCluster({ ...options, holdSeconds: 8 }, async (scene) => {
    const { workers } = scene.cluster;
    const takeovers: number[] = [];
    for (let kill = 1; kill <= options.kills; kill++) {
      await bothWork(scene);
      await sleep(systemClock, LOAD_MS);
      const victim = workers[kill % workers.length];
      if (victim === undefined) throw new Error('there is no worker');
      const held = await someHeld(scene);
      const partitions = await partitionsOf(victim, workers);
      const killedAtMs = systemClock.now();
      await victim.kill();
      const takeoverMs = await goesOn(scene, partitions, killedAtMs);
      takeovers.push(takeoverMs);
      scene.report(
        `kill ${kill}: ${partitions.length} partitions, ${held} held; all go on after ${takeoverMs} ms`,
      );
      if (takeoverMs > takeoverMsMax(scene))
        scene.problems.push(`kill ${kill}: the survivor went on after ${takeoverMs} ms`);
      await bringUp(victim);
    }
    scene.facts['takeover'] = `at most ${Math.max(...takeovers)} ms`;
  });
}

export const takeoverMsMax = ({ patience }: Scene): number => SESSION_TIMEOUT_MS + patience * TAKEOVER_MS;

/** Resolves once each worker has a partition. */
export async function bothWork({ cluster: { workers } }: Scene): Promise<void> {
  const deadline = systemClock.monotonic() + REJOIN_MS;
  for (;;) {
    const owned = await Promise.all(workers.map((worker) => partitionsOf(worker, workers)));
    if (owned.every(({ length }) => length > 0)) return;
    if (systemClock.monotonic() > deadline)
      throw new Error(`a worker has no partition after ${REJOIN_MS} ms`);
    await sleep(systemClock, POLL_MS);
  }
}

/** How many events are held, once some are. */
async function someHeld({ cluster: { loader } }: Scene): Promise<number> {
  const deadline = systemClock.monotonic() + REJOIN_MS;
  for (;;) {
    const { held } = await loader.books();
    if (held > 0) return held;
    if (systemClock.monotonic() > deadline) throw new Error(`no event is held after ${REJOIN_MS} ms`);
    await sleep(systemClock, POLL_MS);
  }
}

/** The milliseconds until each of these partitions has rows of events that came after `sinceMs`. */
export async function goesOn(
  { watch }: Scene,
  partitions: readonly number[],
  sinceMs: number,
): Promise<number> {
  const waiting = new Map(partitions.map((partition) => [partition, false]));
  const deadline = systemClock.monotonic() + GOES_ON_MS;
  let from = watch.rows.length;
  let lastSeenAtMs = sinceMs;
  while (waiting.size > 0) {
    for (const { source, seenAtMs } of watch.rows.slice(from)) {
      const record = watch.records.get(source);
      if (record === undefined || record.recordedAtMs <= sinceMs) continue;
      if (waiting.delete(record.partition)) lastSeenAtMs = Math.max(lastSeenAtMs, seenAtMs);
    }
    from = watch.rows.length;
    if (waiting.size > 0 && systemClock.monotonic() > deadline) {
      throw new Error(`nothing new of partitions ${[...waiting.keys()].join()} after ${GOES_ON_MS} ms`);
    }
    await sleep(systemClock, POLL_MS);
  }
  return lastSeenAtMs - sinceMs;
}
