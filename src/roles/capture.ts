/** The role capture: takes events over HTTP and makes them durable in the log. */
import { type Capture, startCapture } from '../capture/server.ts';
import type { Config } from '../config.ts';
import { recordDoorCounts } from '../door-counts.ts';
import type { Environment } from '../environment.ts';
import type { Parts } from '../parts.ts';
import { recordDoor } from '../storage/postgres/books.ts';
import type { TeamStore } from '../storage/team-store.ts';
import type { Stores } from './stores.ts';

/** With the notes of what it turned away, which end after it. */
export async function startCaptureRole(
  config: Config,
  parts: Parts,
  { clock, logger, metrics, newUuid }: Environment,
  { log, postgres: { postgres } }: Stores,
  teams: TeamStore,
): Promise<Capture> {
  const { capture } = await parts.start(
    'capture',
    async () => {
      const started = await startCapture({
        host: config.captureHost,
        port: config.capturePort,
        log: log.log,
        teams,
        trustedProxies: config.trustedProxies,
        flagsProxyUrl: config.flagsProxyUrl,
        clock,
        newUuid,
        metrics,
        logger,
      });
      const recorder = recordDoorCounts({
        counts: () => started.door(),
        record: (added) => recordDoor(postgres, added),
        clock,
        logger,
      });
      return { capture: started, recorder };
    },
    async (started) => {
      await started.capture.close();
      await started.recorder.close();
    },
  );
  return capture;
}
