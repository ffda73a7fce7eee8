/** `/_health` and `/_ready`: what has stopped, and what is missing. */
import { type Clock, sleep } from '../clock.ts';
import { LIMITS } from '../limits.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong, or missing. */
  readonly detail?: string;
}

/** What the parts say about themselves. */
export interface Health {
  readonly ok: boolean;
  readonly detail?: string;
}

/**
 * A check that asks: failed when `ask` rejects, or does not answer in time. Those who come while an answer is awaited
 * share it, so that a store that hangs is asked once, however often somebody looks.
 */
export function asking(name: string, clock: Clock, ask: () => Promise<unknown>): () => Promise<Check> {
  const { checkTimeoutMs } = LIMITS.console;
  let asked: Promise<string | undefined> | undefined;

  return async () => {
    asked ??= ask()
      .then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      )
      .finally(() => {
        asked = undefined;
      });
    const late = sleep(clock, checkTimeoutMs).then(() => `no answer within ${checkTimeoutMs} ms`);
    const detail = await Promise.race([asked, late]);
    return named(name, detail === undefined ? { ok: true } : { ok: false, detail });
  };
}

export function named(name: string, { ok, detail }: Health): Check {
  return detail === undefined ? { name, ok } : { name, ok, detail };
}
