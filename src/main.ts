/** `npm start`: the process around the system. Settings, signals, exit codes, and what a terminal shows. */
import type { HoldNotice } from './actors/hold-report.ts';
import { banner } from './banner.ts';
import { holdNoticeText } from './cli/hold-text.ts';
import { paintFor } from './cli/terminal.ts';
import { sleep, systemClock } from './clock.ts';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { LIMITS } from './limits.ts';
import { createLogger, type Logger } from './logger.ts';
import { Parts } from './parts.ts';
import { redactText } from './redact.ts';
import { settingsHelp } from './settings.ts';

const { stopTimeoutMs, sameSignalMs, progressAfterMs } = LIMITS.process;
const onTerminal = process.stdout.isTTY === true;

/** One line, or one for each of several problems, and the end. */
function fail(error: unknown): never {
  const lines = error instanceof ConfigError ? error.problems : [messageOf(error)];
  for (const line of lines) process.stderr.write(`Tributary cannot start: ${redactText(line)}\n`);
  process.exit(1);
}

/** Errors of libraries may have many lines; the first one says what it is. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0] ?? message;
}

async function main(): Promise<void> {
  const [unknown] = process.argv.slice(2).filter((arg) => arg !== '--help' && arg !== '-h');
  if (unknown !== undefined) {
    throw new Error(`there is no option ${unknown}: settings are environment variables, --help lists them`);
  }
  if (process.argv.length > 2) {
    process.stdout.write(settingsHelp());
    return;
  }
  const config = loadConfig();
  const logger = createLogger(config.logLevel, onTerminal);
  const parts = new Parts(logger);
  const stopping = stopOnSignals(parts, logger);
  exitOnBrokenInvariant(logger);
  try {
    await start(config, parts, logger);
  } catch (error) {
    // A start that is being stopped fails in many ways, and none of them matters.
    if (stopping()) return;
    logger.debug({ stack: error instanceof Error ? error.stack : undefined }, 'the start failed');
    await Promise.race([parts.stop(), sleep(systemClock, stopTimeoutMs)]);
    fail(error);
  }
}

async function start(config: Config, parts: Parts, logger: Logger): Promise<void> {
  const cancelProgress = systemClock.after(progressAfterMs, () => {
    if (onTerminal) process.stdout.write(`Starting: ${parts.names().join(', ')} …\n`);
  });
  try {
    // Loaded here, so that a missing package or a library that does not fit is an error of the start.
    const [{ startSystem }, { realEnvironment }] = await Promise.all([
      import('./system.ts'),
      import('./environment.ts'),
    ]);
    const environment = { ...realEnvironment(logger), onHeld: tellHeld(config, logger) };
    const system = await startSystem(config, parts, environment);
    const startedMs = Math.round(performance.now());
    if (onTerminal) process.stdout.write(banner({ ...system, startedMs }, paintFor(process.stdout)));
    else {
      const { roles, captureUrl, consoleUrl } = system;
      logger.info({ roles, captureUrl, consoleUrl, startedMs }, 'ready');
    }
  } finally {
    cancelProgress();
  }
}

/** Whoever looks at a terminal is told why a row is not there yet. */
function tellHeld({ bufferConversionSeconds }: Config, logger: Logger): (notice: HoldNotice) => void {
  return (notice) => {
    if (onTerminal) process.stdout.write(`${holdNoticeText(notice, bufferConversionSeconds)}\n`);
    else logger.debug({ ...notice }, 'events are held');
  };
}

/** The first signal stops every part in order, the second one exits at once. Gives whether one has come. */
function stopOnSignals(parts: Parts, logger: Logger): () => boolean {
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    const now = systemClock.monotonic();
    if (firstAt !== undefined) {
      if (now - firstAt > sameSignalMs) process.exit(1);
      return;
    }
    firstAt = now;
    logger.info({ signal }, 'stopping');
    systemClock.after(stopTimeoutMs, () => {
      logger.error({ stopTimeoutMs }, 'did not stop in time; the next start recovers what was left');
      process.exit(1);
    });
    void parts.stop().then(() => {
      logger.info({ durationMs: Math.round(systemClock.monotonic() - now) }, 'stopped');
      process.exit(0);
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return () => firstAt !== undefined;
}

/** What nobody expected ends the process: the log has everything, and the next start goes on from there. */
function exitOnBrokenInvariant(logger: Logger): void {
  const exit = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    logger.error({ error: text }, 'something happened that must not; the process ends');
    process.exit(1);
  };
  process.on('uncaughtException', exit);
  process.on('unhandledRejection', exit);
  // A terminal that has gone is no reason to end in the middle of a stop.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

main().catch(fail);
