/** What one process runs: its stores, its roles and the console, in the order in which they start. */
import type { Worker } from './actors/worker.ts';
import { assertFree, urlOf } from './address.ts';
import { sleep } from './clock.ts';
import type { Config } from './config.ts';
import { isLoopbackHost } from './console/access.ts';
import { startConsole } from './console/server.ts';
import type { Environment } from './environment.ts';
import { LIMITS } from './limits.ts';
import type { Parts } from './parts.ts';
import { type CaptureRole, startCaptureRole } from './roles/capture.ts';
import { consoleSources, type Running } from './roles/console.ts';
import { startRefusedWatch } from './roles/engine.ts';
import { startLoaderRole } from './roles/loader.ts';
import { openStores, type Stores } from './roles/stores.ts';
import { startLagWatch, startWorkerRole } from './roles/worker.ts';
import type { Role } from './settings.ts';
import { lockDataDir, writeRunning } from './storage/embedded/data-dir.ts';
import { DEV_PROJECT } from './storage/postgres/projects.ts';
import { createTeamStore } from './storage/postgres/teams.ts';
import type { TeamStore } from './storage/team-store.ts';
import { usesDataDir } from './stores.ts';

export interface System {
  readonly roles: readonly Role[];
  /** `undefined`: the role capture runs elsewhere. */
  readonly captureUrl: string | undefined;
  readonly consoleUrl: string;
  /** Of the development project, where there is one. */
  readonly token: string | undefined;
}

const CAPTURE_SETTINGS = { host: 'CAPTURE_HOST', port: 'CAPTURE_PORT' };
const CONSOLE_SETTINGS = { host: 'CONSOLE_HOST', port: 'CONSOLE_PORT' };

/**
 * Resolves once every role of this process does its work. `parts` gets everything that has been started, also when
 * this rejects: stop it then. Rejects with an error whose message says what to do.
 */
export async function startSystem(config: Config, parts: Parts, environment: Environment): Promise<System> {
  const runs = (role: Role) => config.roles.includes(role);
  if (runs('capture')) await assertFree(config.captureHost, config.capturePort, CAPTURE_SETTINGS);
  await assertFree(config.consoleHost, config.consolePort, CONSOLE_SETTINGS);
  if (usesDataDir(config)) {
    await parts.start(
      'data folder',
      () => lockDataDir(config.dataDir),
      (lock) => lock.release(),
    );
  }
  const stores = await openStores(config, parts, environment);
  const teams = createTeamStore(stores.postgres.postgres, environment.clock, environment.logger);

  // In the order of the way back: what reads starts before what writes, and stops after it.
  const loader =
    runs('loader') && stores.clickhouse
      ? await startLoaderRole(parts, environment, stores, stores.clickhouse)
      : undefined;
  const refusedWatch =
    runs('worker') && stores.clickhouse && config.clickHouseIngestion === 'kafka-engine'
      ? await startRefusedWatch(parts, environment, stores, stores.clickhouse)
      : undefined;
  const worker = runs('worker')
    ? await startWorkerRole(config, parts, environment, stores, teams)
    : undefined;
  const lagWatch = worker && (await startLagWatch(config, parts, environment, stores, worker));
  const capture = runs('capture')
    ? await openTheDoor(config, parts, environment, stores, teams, worker)
    : undefined;
  const capturePort = capture?.port;
  const captureUrl = capturePort === undefined ? undefined : urlOf(config.captureHost, capturePort);
  const running = { capture, worker, lagWatch, loader, refusedWatch };
  const consolePort = await openConsole(config, parts, environment, stores, running, captureUrl);
  if (usesDataDir(config)) {
    await writeRunning(config.dataDir, {
      pid: process.pid,
      ...(capturePort === undefined ? {} : { captureHost: config.captureHost, capturePort }),
      consoleHost: config.consoleHost,
      consolePort,
      ...(config.databaseUrl === undefined ? { postgresUrl: stores.postgres.postgres.url } : {}),
    });
  }
  return {
    roles: config.roles,
    captureUrl,
    consoleUrl: urlOf(config.consoleHost, consolePort),
    token: config.devProject ? DEV_PROJECT.token : undefined,
  };
}

async function openTheDoor(
  config: Config,
  parts: Parts,
  environment: Environment,
  stores: Stores,
  teams: TeamStore,
  worker: Worker | undefined,
): Promise<CaptureRole> {
  // Else events that come at once meet partitions one after another, in no order that anybody would expect.
  if (worker) {
    await Promise.race([worker.taken(), sleep(environment.clock, LIMITS.process.takeTimeoutMs)]);
  }
  return startCaptureRole(config, parts, environment, stores, teams);
}

/** Gives its port. */
async function openConsole(
  config: Config,
  parts: Parts,
  environment: Environment,
  stores: Stores,
  running: Running,
  captureUrl: string | undefined,
): Promise<number> {
  if (config.consoleToken === undefined && !isLoopbackHost(config.consoleHost)) {
    const text = 'the console answers elsewhere, but shows data on this machine only: set CONSOLE_TOKEN';
    environment.logger.warn({ consoleHost: config.consoleHost }, text);
  }
  const console = await parts.start(
    'console',
    () =>
      startConsole({
        host: config.consoleHost,
        port: config.consolePort,
        token: config.consoleToken,
        roles: config.roles,
        captureUrl,
        sources: consoleSources(environment, stores, running),
        logger: environment.logger,
      }),
    (started) => started.close(),
  );
  return console.port;
}
