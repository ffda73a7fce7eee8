/** Follows one event from its acknowledgement to what became of it. */
import { type Clock, sleep } from '../clock.ts';
import type { HeldAnswer } from '../console/held.ts';
import type { Outcome, Step } from './send-outcome.ts';
import type { Watch } from './send-watch.ts';

export interface FollowOptions {
  readonly watch: Watch;
  readonly clock: Clock;
  /** On the monotonic clock. */
  readonly sentAtMs: number;
  /** Whether to wait for the release of a held event. */
  readonly wait: boolean;
  readonly limits: { readonly rowTimeoutMs: number; readonly rowPollMs: number; readonly heldPollMs: number };
}

/** The steps as they are seen, and at last the outcome; none, when the last step is a hold that is not waited for. */
export async function* follow(options: FollowOptions): AsyncGenerator<Step | Outcome> {
  const { watch, clock, sentAtMs, wait } = options;
  const { rowTimeoutMs, rowPollMs, heldPollMs } = options.limits;
  const elapsedMs = () => Math.round(clock.monotonic() - sentAtMs);
  let seen: HeldAnswer['state'] = 'unknown';
  /** Time for the row begins anew when the event may move again. */
  let deadlineMs = rowTimeoutMs;

  while (elapsedMs() < deadlineMs) {
    // A release is final for us: what follows it is the row.
    const hold: HeldAnswer = seen === 'released' ? { state: 'unknown' } : await watch.held();
    if (hold.state === 'held') {
      if (seen === 'unknown') {
        yield { kind: 'held', hold, ms: elapsedMs() };
        if (!wait) return;
        const leftMs = Math.max(0, Date.parse(hold.until) - clock.now());
        deadlineMs = elapsedMs() + leftMs + rowTimeoutMs;
      }
      seen = 'held';
      await sleep(clock, heldPollMs);
      continue;
    }
    if (hold.state === 'released') {
      yield { kind: 'released', hold, ms: elapsedMs() };
      deadlineMs = elapsedMs() + rowTimeoutMs;
      seen = 'released';
    }
    const found = await watch.look();
    if (found) {
      yield { ...found, ms: elapsedMs() };
      return;
    }
    await sleep(clock, rowPollMs);
  }
  yield { kind: 'none', ms: elapsedMs(), books: await watch.books() };
}
