/**
 * A client with persons of its own that counts upwards at each of them: every event sets its person's `n` to the next
 * number. It posts one request after the other and never again what failed, so that the order at each person is
 * known, and with it what `n` must be in the end.
 */
import { randomUUID } from 'node:crypto';
import { sleep, systemClock } from '../../src/clock.ts';
import { Client, type LoadEvent } from './client.ts';

export interface PersonCount {
  /** `n` of the newest event that was sent, and of the newest one that was answered 200. */
  sent: number;
  acknowledged: number;
}

export interface CountingClientOptions {
  readonly captureUrl: string;
  readonly distinctIds: readonly string[];
  /** Events of one request. */
  readonly batch: number;
  readonly eventsPerSecond: number;
}

export class CountingClient {
  readonly sent = new Set<string>();
  readonly acknowledged = new Set<string>();
  /** Requests that were answered with something else than 200, as text. */
  readonly refusals: string[] = [];
  readonly persons: ReadonlyMap<string, PersonCount>;
  readonly #options: CountingClientOptions;
  #next = 0;
  #stopped = false;

  constructor(options: CountingClientOptions) {
    this.#options = options;
    this.persons = new Map(options.distinctIds.map((id) => [id, { sent: 0, acknowledged: 0 }]));
  }

  /** Posts until `stop`. */
  async run(): Promise<void> {
    const { captureUrl, batch, eventsPerSecond } = this.#options;
    const client = new Client(captureUrl);
    const everyMs = (batch / eventsPerSecond) * 1_000;
    for (let due = systemClock.monotonic(); !this.#stopped; due += everyMs) {
      const now = systemClock.monotonic();
      // What was missed while nobody answered is not caught up on.
      if (now > due + everyMs) due = now;
      else await sleep(systemClock, Math.max(0, due - now));
      await this.#post(client);
    }
    client.close();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #post(client: Client): Promise<void> {
    const events = Array.from({ length: this.#options.batch }, () => this.#event());
    const answer = await client.post(events).catch(() => undefined);
    // Without an answer nobody knows whether it was taken.
    if (answer === undefined) return;
    if (answer.status !== 200) {
      this.refusals.push(`${answer.status} ${answer.text.trim()}`);
      return;
    }
    for (const { uuid, distinct_id, properties } of events) {
      this.acknowledged.add(uuid);
      const person = this.persons.get(distinct_id);
      if (person) person.acknowledged = Number(properties['n']);
    }
  }

  /** Of each person in turn. */
  #event(): LoadEvent {
    const { distinctIds } = this.#options;
    const distinct_id = distinctIds[this.#next++ % distinctIds.length] ?? '';
    const person = this.persons.get(distinct_id);
    const n = (person?.sent ?? 0) + 1;
    if (person) person.sent = n;
    const uuid = randomUUID();
    this.sent.add(uuid);
    return {
      uuid,
      event: 'counted',
      distinct_id,
      timestamp: new Date().toISOString(),
      properties: { n, $set: { n }, $set_once: { first_n: n }, note: 'x'.repeat(300) },
    };
  }
}
