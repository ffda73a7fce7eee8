/** The role capture: takes events over HTTP and makes them durable in the log, or in the spool while that is away. */
import { join } from 'node:path';
import { type Capture, startCapture } from '../capture/server.ts';
import { type OpenSpool, openSpool } from '../capture/spool/open.ts';
import type { Config } from '../config.ts';
import type { Health } from '../console/checks.ts';
import { recordDoorCounts } from '../door-counts.ts';
import type { Environment } from '../environment.ts';
import type { Parts } from '../parts.ts';
import { lockDataDir } from '../storage/embedded/data-dir.ts';
import { recordDoor, recordSpooled } from '../storage/postgres/books.ts';
import type { TeamStore } from '../storage/team-store.ts';
import type { Stores } from './stores.ts';

const MIB = 1024 * 1024;
const SPOOL_FOLDER = 'spool';

export interface CaptureRole {
  readonly port: number;
  /** Not ok when events are refused. */
  ready(): Health;
}

/** With the notes of what it turned away, which end after it. */
export async function startCaptureRole(
  config: Config,
  parts: Parts,
  environment: Environment,
  stores: Stores,
  teams: TeamStore,
): Promise<CaptureRole> {
  const { clock, logger, metrics, newUuid } = environment;
  const { postgres } = stores.postgres;
  const spool = await startSpool(config, parts, environment, stores);
  const { capture } = await parts.start(
    'capture',
    async () => {
      const started = await startCapture({
        host: config.captureHost,
        port: config.capturePort,
        log: spool?.log ?? stores.log.log,
        teams,
        trustedProxies: config.trustedProxies,
        flagsProxyUrl: config.flagsProxyUrl,
        clock,
        newUuid,
        metrics,
        logger,
      });
      const recorder = recordDoorCounts({
        counts: () => ({ ...started.door(), dead_lettered: spool?.deadLettered() ?? {} }),
        record: (added) => recordDoor(postgres, added),
        clock,
        logger,
      });
      return { capture: started, recorder };
    },
    async (started: { capture: Capture; recorder: { close(): Promise<void> } }) => {
      await started.capture.close();
      await started.recorder.close();
    },
  );
  return { port: capture.port, ready: () => readiness(stores.log.ready(), spool) };
}

/** The embedded log is not away while its process runs, and has the same disk: it has no spool. */
async function startSpool(
  config: Config,
  parts: Parts,
  { clock, logger, metrics }: Environment,
  { log, postgres: { postgres } }: Stores,
): Promise<OpenSpool | undefined> {
  if (config.kafkaHosts === undefined || config.spoolMb === 0) return undefined;
  const dir = join(config.dataDir, SPOOL_FOLDER);
  await parts.start(
    'folder of the spool',
    () => lockDataDir(dir),
    (lock) => lock.release(),
  );
  return parts.start(
    'spool',
    () =>
      openSpool({
        dir,
        bytesMax: config.spoolMb * MIB,
        log: log.log,
        record: (id, events) => recordSpooled(postgres, id, events),
        clock,
        metrics,
        logger,
      }),
    (spool) => spool.close(),
  );
}

/** While the log is away, or has to take what is on the disk first, the disk decides. */
function readiness(log: Health, spool: OpenSpool | undefined): Health {
  if (spool === undefined) return log;
  const isDirect = spool.log.mode === 'direct';
  if (log.ok && isDirect) return log;
  const trouble = spool.log.trouble();
  const detail = [log.detail, trouble ?? 'events go to the spool'].filter((text) => text !== undefined);
  return { ok: trouble === undefined, detail: detail.join('; ') };
}
