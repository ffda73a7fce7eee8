/** SIGSTOP for longer than the session timeout, also in the middle of a transaction, then SIGCONT. */
import { sleep, systemClock } from '../../src/clock.ts';
import { type FaultOptions, type FaultResult, onCluster } from '../support/scene.ts';
import { partitionsOf } from '../support/state-watch.ts';
import type { System } from '../support/system.ts';
import type { SavePoint } from '../support/torture-proxy.ts';
import { bothWork, goesOn, takeoverMsMax } from './kill-worker.ts';

export const STOP_MOMENTS = ['inside a save', 'before a commit', 'after a commit', 'at any time'] as const;
export type StopMoment = (typeof STOP_MOMENTS)[number];

export interface StopWorkerOptions extends FaultOptions {
  readonly moments: readonly StopMoment[];
}

const POINTS: Readonly<Record<StopMoment, SavePoint | undefined>> = {
  'inside a save': { kind: 'sends', statement: 'INSERT INTO tributary_folded', merging: false },
  'before a commit': { kind: 'sends', statement: 'COMMIT', merging: false },
  'after a commit': { kind: 'answered', of: 'save' },
  'at any time': undefined,
};
/** The session timeout of the group is 10 s. */
const STOPPED_MS = 14_000;
/** `lock_timeout`, and what it takes to see it. */
const LOCK_TIMEOUT_MS = 5_000;
const SEE_MS_MAX = 300;
/** Of the log. */
const WARNING = 40;
const CAUGHT_MS = 30_000;
const OPEN_TRANSACTION = `
  SELECT count(*)::int AS open FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'`;

export function stopWorker(options: StopWorkerOptions): Promise<FaultResult> {
  return onCluster({ ...options, holdSeconds: 8 }, async (scene) => {
    const { cluster, problems, report, facts } = scene;
    const [worker] = cluster.workers;
    const [proxy] = cluster.proxies;
    if (worker === undefined || proxy === undefined) throw new Error('there is no worker');
    for (const moment of options.moments) {
      await bothWork(scene);
      const point = POINTS[moment];
      if (point !== undefined) {
        const isCaught = await Promise.race([
          proxy.caught(point).then(() => true),
          sleep(systemClock, CAUGHT_MS).then(() => false),
        ]);
        proxy.forget();
        if (!isCaught) throw new Error(`no save came to the moment "${moment}" within ${CAUGHT_MS} ms`);
      }
      const stoppedAtMs = systemClock.now();
      worker.signal('SIGSTOP');
      const partitions = await partitionsOf(worker, cluster.workers);
      const linesBefore = (await worker.lines()).length;
      // By then the proxy has let the held statement go.
      await sleep(systemClock, 1_500);
      const { rows } = await cluster.postgres.query<{ open: number }>(OPEN_TRANSACTION);
      const takeoverMs = await goesOn(scene, partitions, stoppedAtMs);
      if (takeoverMs > takeoverMsMax(scene))
        problems.push(`${moment}: the survivor went on after ${takeoverMs} ms`);
      await sleep(systemClock, Math.max(0, stoppedAtMs + STOPPED_MS - systemClock.now()));
      worker.signal('SIGCONT');
      await scene.takes(200);
      await bothWork(scene);
      const noticed = await troubles(worker, linesBefore);
      if (noticed.length === 0) problems.push(`${moment}: the worker did not notice that it had stopped`);
      report(
        `stopped ${moment}: ${rows[0]?.open ?? 0} open transactions; others go on after ${takeoverMs} ms; then it says: ${noticed.join('; ')}`,
      );
      facts[`stopped ${moment}`] = `others went on after ${takeoverMs} ms`;
    }
    const { lockWaitMaxMs } = scene.state;
    if (lockWaitMaxMs > LOCK_TIMEOUT_MS + scene.patience * SEE_MS_MAX)
      problems.push(`somebody waited ${lockWaitMaxMs} ms for a lock`);
  });
}

/** Why the worker gave up what it had, as its log tells, after the first `from` lines. */
async function troubles(worker: System, from: number): Promise<readonly string[]> {
  const lines = (await worker.lines()).slice(from).filter(({ level }) => Number(level) >= WARNING);
  return [...new Set(lines.map(({ reason, error, msg }) => String(reason ?? error ?? msg)))];
}
