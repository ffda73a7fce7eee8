/** A client that posts one request after the other, and, as SDKs do, most often posts again what got no answer. */
import { sleep, systemClock } from '../../src/clock.ts';
import { Client, type LoadEvent } from './client.ts';
import type { Random } from './random.ts';
import type { TortureEvents } from './torture-events.ts';

/** One request, sent once. */
export interface Attempt {
  readonly uuids: readonly string[];
  /** `lost`: there was no answer. */
  outcome: 'pending' | 'answered' | 'lost';
}

export interface TortureClientOptions {
  readonly captureUrl: string;
  readonly random: Random;
  readonly events: TortureEvents;
  /** Events of one request, at most. */
  readonly batch: number;
  readonly eventsPerSecond: number;
  /** Posts until it is answered 200, as long as nobody stops it. */
  readonly isPatient?: boolean;
  readonly onSend?: () => void;
}

/** One request without an answer in so many is given up. */
const GIVE_UP_IN = 4;
const RETRY_MS = 50;
/** One request in so many is a single event. */
const SINGLE_IN = 4;

export class TortureClient {
  readonly sent = new Set<string>();
  acknowledged = 0;
  /** Requests that were answered with something else than 200, as text. */
  readonly refusals: string[] = [];
  /** The last one. */
  attempt: Attempt | undefined;
  readonly #options: TortureClientOptions;
  readonly #client: Client;
  #newlyAcknowledged: string[] = [];
  #stopped = false;

  constructor(options: TortureClientOptions) {
    this.#options = options;
    this.#client = new Client(options.captureUrl);
  }

  /** Posts until `stop`. */
  async run(): Promise<void> {
    const { events, batch, eventsPerSecond, random } = this.#options;
    let due = systemClock.monotonic();
    while (!this.#stopped) {
      const size = random.integer(SINGLE_IN) === 0 ? 1 : 1 + random.integer(batch);
      await this.deliver(Array.from({ length: size }, () => events.next()));
      due += (size / eventsPerSecond) * 1_000;
      const now = systemClock.monotonic();
      // What was missed while nobody answered is not caught up on.
      if (now > due) due = now;
      else await sleep(systemClock, due - now);
    }
    this.close();
  }

  /** Uuids that were answered 200 since this was last asked. */
  takeAcknowledged(): readonly string[] {
    const taken = this.#newlyAcknowledged;
    this.#newlyAcknowledged = [];
    return taken;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** For who has not run. */
  close(): void {
    this.#client.close();
  }

  /** One request, as often as it takes. */
  async deliver(events: readonly LoadEvent[]): Promise<void> {
    const { random, onSend, isPatient } = this.#options;
    const uuids = events.map(({ uuid }) => uuid);
    for (const uuid of uuids) this.sent.add(uuid);
    while (!this.#stopped) {
      const attempt: Attempt = { uuids, outcome: 'pending' };
      this.attempt = attempt;
      const answered = this.#client.post(events);
      onSend?.();
      const answer = await answered.catch(() => undefined);
      attempt.outcome = answer === undefined ? 'lost' : 'answered';
      if (answer?.status === 200) {
        this.acknowledged += uuids.length;
        for (const uuid of uuids) this.#newlyAcknowledged.push(uuid);
        return;
      }
      if (answer !== undefined && answer.status !== 503) {
        this.refusals.push(`${answer.status} ${answer.text.trim()}`);
        return;
      }
      if (isPatient !== true && random.integer(GIVE_UP_IN) === 0) return;
      await sleep(systemClock, RETRY_MS);
    }
  }
}
