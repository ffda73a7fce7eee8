/** A third worker joins and leaves, again and again. */
import { sleep, systemClock } from '../../src/clock.ts';
import { bringUp, type Cluster } from '../support/cluster.ts';
import { type FaultOptions, type FaultResult, onCluster } from '../support/scene.ts';
import { partitionsOf } from '../support/state-watch.ts';
import { EXIT_MS_MAX } from './rolling-restart.ts';

export interface JoinLeaveOptions extends FaultOptions {
  readonly times: number;
}

const STAY_MS = 5_000;
const AWAY_MS = 5_000;
const JOIN_MS = 60_000;
const POLL_MS = 50;

export function joinAndLeave(options: JoinLeaveOptions): Promise<FaultResult> {
  return onCluster(options, async ({ cluster, problems, report, facts }) => {
    const { visitor } = cluster;
    let slowestExitMs = 0;
    for (let time = 1; time <= options.times; time++) {
      await bringUp(visitor);
      await joined(cluster);
      await sleep(systemClock, STAY_MS);
      const { elapsedMs, code } = await visitor.stop();
      slowestExitMs = Math.max(slowestExitMs, elapsedMs);
      if (code !== 0 || elapsedMs > EXIT_MS_MAX) problems.push(`it left with ${code} after ${elapsedMs} ms`);
      report(`${time}: joined, stayed for ${STAY_MS} ms, left within ${elapsedMs} ms`);
      await sleep(systemClock, AWAY_MS);
    }
    facts['slowest exit'] = `${slowestExitMs} ms`;
  });
}

/** Resolves once the visitor has a partition. */
async function joined({ visitor, workers }: Cluster): Promise<void> {
  const deadline = systemClock.monotonic() + JOIN_MS;
  while ((await partitionsOf(visitor, [visitor, ...workers])).length === 0) {
    if (systemClock.monotonic() > deadline)
      throw new Error(`the third worker has no partition after ${JOIN_MS} ms`);
    await sleep(systemClock, POLL_MS);
  }
}
