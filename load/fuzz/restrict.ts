/** What the operator of a project does before the run: the door drops the events of one distinct id. */
import { sleep, systemClock } from '../../src/clock.ts';
import { asTeamId } from '../../src/event/ids.ts';
import { readRunning } from '../../src/storage/embedded/data-dir.ts';
import { openPostgres } from '../../src/storage/postgres/pool.ts';
import { DEV_PROJECT } from '../../src/storage/postgres/projects.ts';
import { restrict } from '../../src/storage/postgres/restrictions.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import type { System } from '../support/system.ts';
import { RESTRICTED_ID } from './directed.ts';

const TIMEOUT_MS = 120_000;
const POLL_MS = 100;

/** Resolves once the door does so; rejects after two minutes. */
export async function restrictOne(system: System): Promise<void> {
  const url = (await readRunning(system.dataDir))?.postgresUrl;
  if (url === undefined) throw new Error('the system has no Postgres of its own');
  const postgres = openPostgres({ url, logger: quietLogger });
  try {
    await restrict(postgres, asTeamId(DEV_PROJECT.id), { restriction: 'drop', distinctId: RESTRICTED_ID });
  } finally {
    await postgres.close();
  }
  const deadline = systemClock.monotonic() + TIMEOUT_MS;
  const event = { api_key: DEV_PROJECT.token, event: 'restricted', distinct_id: RESTRICTED_ID };
  while ((await system.metric('tributary_capture_discarded_total', 'reason="restriction"')) === 0) {
    if (systemClock.monotonic() > deadline) throw new Error('a restriction is not followed');
    const response = await fetch(`${system.captureUrl}/e`, { method: 'POST', body: JSON.stringify(event) });
    await response.text();
    await sleep(systemClock, POLL_MS);
  }
}
