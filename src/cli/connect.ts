/** How a command reaches the data: the running system, or the data folder when nothing runs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { urlOf } from '../address.ts';
import { sleep, systemClock } from '../clock.ts';
import { type Config, isGiven } from '../config.ts';
import { LIMITS } from '../limits.ts';
import { silentLogger } from '../logger.ts';
import { Parts } from '../parts.ts';
import { DataDirError, lockDataDir, type Running, readRunning } from '../storage/embedded/data-dir.ts';
import { STORE_FOLDERS } from '../stores.ts';
import { UsageError } from './command.ts';

const { startTimeoutMs, startPollMs } = LIMITS.commands;

/** The system that runs in the data folder, or that the settings point at. */
export interface RunningSystem {
  readonly captureUrl: string;
  readonly consoleUrl: string;
  /** Of its embedded server. */
  readonly postgresUrl: string | undefined;
}

/** `undefined`: nothing runs. */
export async function findRunning(config: Config): Promise<RunningSystem | undefined> {
  const running = await readRunning(config.dataDir);
  if (running?.consolePort !== undefined) return describe(config, running);
  const configured = describe(config, {});
  const isNamed = isGiven('CONSOLE_HOST') || isGiven('CONSOLE_PORT') || isGiven('KAFKA_HOSTS');
  return isNamed && (await isThere(configured.consoleUrl)) ? configured : undefined;
}

function describe(config: Config, running: Partial<Running>): RunningSystem {
  return {
    captureUrl: urlOf(running.captureHost ?? config.captureHost, running.capturePort ?? config.capturePort),
    consoleUrl: urlOf(running.consoleHost ?? config.consoleHost, running.consolePort ?? config.consolePort),
    postgresUrl: running.postgresUrl,
  };
}

async function isThere(url: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(LIMITS.commands.requestTimeoutMs);
    await fetch(url, { signal });
    return true;
  } catch {
    return false;
  }
}

export interface Access<T> {
  whenRunning(system: RunningSystem): Promise<T>;
  /** With the data folder locked; what it starts through `parts` is stopped afterwards, also after Ctrl-C. */
  alone(parts: Parts): Promise<T>;
  /** `alone` reads this store: it has to be there already. */
  readonly needs?: keyof typeof STORE_FOLDERS | undefined;
}

/** Calls whichever fits; a system that is starting is waited for. */
export async function withSystem<T>(config: Config, access: Access<T>): Promise<T> {
  const deadline = systemClock.monotonic() + startTimeoutMs;
  for (;;) {
    const running = await findRunning(config);
    if (running) return access.whenRunning(running);
    try {
      if (access.needs) requireStore(config, access.needs);
      return await withDataDir(config, access.alone);
    } catch (error) {
      const isBusy = error instanceof DataDirError && existsSync(config.dataDir);
      if (!isBusy || systemClock.monotonic() > deadline) throw error;
      await sleep(systemClock, startPollMs);
    }
  }
}

/** The data folder for this command alone. Rejects with `DataDirError` when a system runs in it. */
export function withDataDir<T>(config: Config, run: (parts: Parts) => Promise<T>): Promise<T> {
  return withParts(async (parts) => {
    await parts.start(
      'data folder',
      () => lockDataDir(config.dataDir),
      (lock) => lock.release(),
    );
    return run(parts);
  });
}

/** What `run` starts through `parts` is stopped afterwards, also after Ctrl-C. */
export async function withParts<T>(run: (parts: Parts) => Promise<T>): Promise<T> {
  const parts = new Parts(silentLogger);
  const interrupted = () => void parts.stop().then(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    return await run(parts);
  } finally {
    await parts.stop();
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}

function requireStore(config: Config, store: keyof typeof STORE_FOLDERS): void {
  if (existsSync(join(config.dataDir, STORE_FOLDERS[store]))) return;
  throw new UsageError(
    `nothing runs, and ${config.dataDir} has no data yet: \`npm start\` makes it (or set TRIBUTARY_DATA_DIR)`,
  );
}
