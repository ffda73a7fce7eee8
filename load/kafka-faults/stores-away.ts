/** Postgres is killed and started again; ClickHouse is away, with the loader that holds it. */
import { sleep, systemClock } from '../../src/clock.ts';
import { bringUp } from '../support/cluster.ts';
import { type FaultOptions, type FaultResult, onCluster } from '../support/scene.ts';

export interface AwayOptions extends FaultOptions {
  readonly times: number;
  readonly downSeconds: number;
}

const BACK_MS = 60_000;

export function killPostgres(options: AwayOptions): Promise<FaultResult> {
  return onCluster(options, async ({ cluster, problems, report, takes }) => {
    for (let time = 1; time <= options.times; time++) {
      await cluster.killPostgres();
      await sleep(systemClock, options.downSeconds * 1_000);
      // The door judges tokens by what it knew.
      await takes(50);
      await cluster.startPostgresAgain();
      const startedAt = systemClock.monotonic();
      for (const worker of cluster.workers) {
        while ((await worker.readiness()).status !== 200) {
          if (systemClock.monotonic() - startedAt > BACK_MS) {
            throw new Error(`a worker is not back after ${BACK_MS} ms: ${(await worker.readiness()).text}`);
          }
          await sleep(systemClock, 100);
        }
        if (worker.hasEnded) problems.push('a worker has ended');
      }
      report(
        `kill ${time}: away ${options.downSeconds} s, both workers ready ${Math.round(systemClock.monotonic() - startedAt)} ms after its start`,
      );
      await takes(500);
    }
  });
}

export function clickHouseAway(options: AwayOptions): Promise<FaultResult> {
  return onCluster(options, async ({ cluster: { loader }, report, takes }) => {
    for (let time = 1; time <= options.times; time++) {
      await loader.kill();
      report(`ClickHouse is away for ${options.downSeconds} s`);
      await sleep(systemClock, options.downSeconds * 1_000);
      await takes(200);
      report(`back, ready after ${await bringUp(loader)} ms`);
    }
  });
}
