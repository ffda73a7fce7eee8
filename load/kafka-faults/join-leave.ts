/** A third worker joins and leaves, again and again. */
import { sleep, systemClock } from '../../src/clock.ts';
import { type FaultOptions, type FaultResult, onCluster } from '../support/scene.ts';
import { EXIT_MS_MAX } from './rolling-restart.ts';

export interface JoinLeaveOptions extends FaultOptions {
  readonly times: number;
}

const EVERY_MS = 5_000;

export function joinAndLeave(options: JoinLeaveOptions): Promise<FaultResult> {
  return onCluster(options, async ({ cluster: { visitor }, problems, report, facts }) => {
    let slowestExitMs = 0;
    for (let time = 1; time <= options.times; time++) {
      const dueMs = systemClock.monotonic() + EVERY_MS;
      if (time % 2 === 1) {
        visitor.launch();
        const readyMs = await visitor.ready();
        report(`${time}: joined, ready after ${readyMs} ms`);
      } else {
        const { elapsedMs, code } = await visitor.stop();
        slowestExitMs = Math.max(slowestExitMs, elapsedMs);
        if (code !== 0 || elapsedMs > EXIT_MS_MAX)
          problems.push(`it left with ${code} after ${elapsedMs} ms`);
        report(`${time}: left within ${elapsedMs} ms`);
      }
      await sleep(systemClock, Math.max(0, dueMs - systemClock.monotonic()));
    }
    facts['slowest exit'] = `${slowestExitMs} ms`;
  });
}
