/** The worker as it runs in the system, for a project that is there at once. */

import { TRANSFORMS } from '../src/actors/transforms.ts';
import { startWorker, type WorkerOptions } from '../src/actors/worker.ts';
import { realEnvironment } from '../src/environment.ts';
import { asTeamId } from '../src/event/ids.ts';
import { UNRESTRICTED } from '../src/event/restriction.ts';
import { LIMITS } from '../src/limits.ts';
import { silentLogger } from '../src/logger.ts';
import type { Parts } from '../src/parts.ts';
import type { EventLog } from '../src/storage/event-log.ts';
import { createPersonStore } from '../src/storage/postgres/person-store.ts';
import type { Postgres } from '../src/storage/postgres/pool.ts';
import type { Team, TeamStore } from '../src/storage/team-store.ts';
import type { Topic } from '../src/storage/topics.ts';
import { TOKEN } from './events.ts';

/** The topic of its rows. */
export const ROWS: Topic = 'clickhouse_events_json';

/** As by default. */
const CACHE_BYTES = 256 * 1024 * 1024;

const TEAM: Team = {
  id: asTeamId(1),
  token: TOKEN,
  name: 'bench',
  anonymizeIps: false,
  personProcessingOptOut: false,
  restrictions: UNRESTRICTED,
};
const teams: TeamStore = { cached: () => TEAM, byToken: async () => TEAM };

/** Holds nothing, unless `options` say otherwise. */
export async function startRealWorker(
  parts: Parts,
  log: EventLog,
  postgres: Postgres,
  options: Partial<WorkerOptions> = {},
): Promise<void> {
  await parts.start(
    'worker',
    () =>
      startWorker({
        ...realEnvironment(silentLogger),
        log,
        isShared: false,
        teams,
        persons: createPersonStore(postgres),
        limits: LIMITS.worker,
        transforms: TRANSFORMS,
        personCacheBytesMax: CACHE_BYTES,
        holdMs: 0,
        holdBytesMax: CACHE_BYTES,
        onFault: throwLater,
        ...options,
      }),
    (started) => started.close(),
  );
}

/** Ends the process. */
export function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
