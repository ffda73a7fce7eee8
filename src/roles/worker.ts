/** The role worker: finds each event its person, and writes the rows. */
import { type LagWatch, watchLag } from '../actors/lag-watch.ts';
import { TRANSFORMS } from '../actors/transforms.ts';
import { startWorker, type Worker } from '../actors/worker.ts';
import type { Config } from '../config.ts';
import type { Environment } from '../environment.ts';
import { LIMITS } from '../limits.ts';
import type { Parts } from '../parts.ts';
import { createPersonStore } from '../storage/postgres/person-store.ts';
import type { TeamStore } from '../storage/team-store.ts';
import type { Stores } from './stores.ts';

const MIB = 1024 * 1024;

export function startWorkerRole(
  config: Config,
  parts: Parts,
  environment: Environment,
  { log, postgres: { postgres } }: Stores,
  teams: TeamStore,
): Promise<Worker> {
  return parts.start(
    'worker',
    () =>
      startWorker({
        ...environment,
        log: log.log,
        isShared: config.kafkaHosts !== undefined,
        teams,
        persons: createPersonStore(postgres, { witness: config.witness }),
        limits: LIMITS.worker,
        transforms: TRANSFORMS,
        personCacheBytesMax: config.personCacheMb * MIB,
        holdMs: config.bufferConversionSeconds * 1000,
        holdBytesMax: config.holdMb * MIB,
        // Uncaught, it ends the process.
        onFault: (error) => {
          setImmediate(() => {
            throw error;
          });
        },
      }),
    (started) => started.close(),
  );
}

/** How far the worker is behind, and whether it moves at all. */
export function startLagWatch(
  config: Config,
  parts: Parts,
  { clock, metrics }: Environment,
  { log }: Stores,
  worker: Worker,
): Promise<LagWatch> {
  const { lagEveryMs, stalledAfterMs } = LIMITS.worker;
  return parts.start(
    'lag watch',
    async () =>
      watchLag({
        log: log.log,
        standings: () => worker.standings(),
        untaken: () => worker.untaken(),
        holdMs: config.bufferConversionSeconds * 1000,
        trouble: () => worker.ready().detail ?? log.ready().detail,
        clock,
        metrics,
        everyMs: lagEveryMs,
        stalledAfterMs,
      }),
    async (started) => started.close(),
  );
}
