/** Starts the embedded PostgreSQL again whenever it has ended by itself: killed, or out of disk space. */
import { setTimeout as wait } from 'node:timers/promises';
import { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';
import type { EmbeddedPostgres } from './postgres-server.ts';

export interface Keeper {
  /** Why there is no server at the moment, if so. */
  trouble(): string | undefined;
  /** Why no server can be started by this process, if so. */
  needsRestart(): string | undefined;
  /** From now on a server that ends stays ended. Resolves once no start is under way. */
  close(): Promise<void>;
}

const { watchEveryMs, restartBackoffMinMs, restartBackoffMaxMs } = LIMITS.embeddedPostgres;

/** Modes: watching -> starting, when the server has ended -> watching; any -> closed. */
export function keepRunning(
  server: Pick<EmbeddedPostgres, 'isRunning' | 'startAgain'>,
  logger: Logger,
): Keeper {
  const closing = new AbortController();
  let trouble: string | undefined;
  let portIsTaken = false;

  const nap = (delayMs: number): Promise<void> =>
    wait(delayMs, undefined, { signal: closing.signal }).catch(() => {});

  async function keep(): Promise<void> {
    for (;;) {
      await nap(watchEveryMs);
      if (closing.signal.aborted) return;
      if (!server.isRunning()) await start();
    }
  }

  async function start(): Promise<void> {
    trouble = 'the embedded PostgreSQL has ended and is being started again';
    logger.error({}, trouble);
    for (
      let retryInMs: number = restartBackoffMinMs;
      ;
      retryInMs = Math.min(retryInMs * 2, restartBackoffMaxMs)
    ) {
      try {
        await server.startAgain();
        trouble = undefined;
        portIsTaken = false;
        logger.info({}, 'the embedded PostgreSQL runs again');
        return;
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        portIsTaken = /address already in use/i.test(said);
        const reason = reasonIn(said);
        trouble = `the embedded PostgreSQL has ended and does not start: ${reason}`;
        logger.error({ error: reason, retryInMs }, 'the embedded PostgreSQL does not start again');
      }
      await nap(retryInMs);
      if (closing.signal.aborted) return;
    }
  }

  const kept = keep();
  return {
    trouble: () => trouble,
    needsRestart: () =>
      portIsTaken
        ? 'the port of the embedded PostgreSQL was taken by another process: start Tributary again'
        : undefined,
    close() {
      closing.abort();
      return kept;
    },
  };
}

/** Of what the server said, the line that tells why it ended; and not what it told those who came too early. */
function reasonIn(said: string): string {
  const lines = said
    .split('\n')
    .filter((line) => line !== '' && !/is (starting up|shutting down)/.test(line));
  return lines.findLast((line) => /FATAL|PANIC/.test(line)) ?? lines.at(-1) ?? 'it does not say why';
}
