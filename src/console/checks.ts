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

/** Failed when `ask` rejects, or does not answer in time. */
export async function answers(name: string, clock: Clock, ask: () => Promise<unknown>): Promise<Check> {
  const timeoutMs = LIMITS.console.checkTimeoutMs;
  const late = sleep(clock, timeoutMs).then(() => `no answer within ${timeoutMs} ms`);
  const detail = await Promise.race([
    ask().then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    ),
    late,
  ]);
  return detail === undefined ? { name, ok: true } : { name, ok: false, detail };
}

export function named(name: string, { ok, detail }: Health): Check {
  return detail === undefined ? { name, ok } : { name, ok, detail };
}
