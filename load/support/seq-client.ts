/**
 * A client whose every event sets its person's `seq` to the next number of its distinct id, so that each row shows by
 * itself whether its event was folded in its order. As SDKs do, it posts again what was not answered 200, and nothing
 * else before that.
 */
import { randomUUID } from 'node:crypto';
import { sleep, systemClock } from '../../src/clock.ts';
import { Client, type LoadEvent } from './client.ts';

export interface SeqClientOptions {
  readonly captureUrl: string;
  readonly name: string;
  readonly eventsPerSecond: number;
  /** Of the events of a request: of ids that nobody knows, which are held. */
  readonly heldPerRequest: number;
}

/** Anonymous, with a person each. */
const SOLOS = 20;
/** Two ids of one person, perhaps on two partitions. */
const PAIRS = 4;
const BATCH = 10;
const RETRY_MS = 250;

/** The person property that the events of this id set: the two ids of a pair have one each. */
export const seqKey = (distinctId: string): string => {
  const [, side] = /^pair-.*-([ab])$/.exec(distinctId) ?? [];
  return side === undefined ? 'seq' : `seq_${side}`;
};

export class SeqClient {
  readonly sent = new Set<string>();
  readonly acknowledged = new Set<string>();
  /** Answers by status; 0: none. */
  readonly statuses = new Map<number, number>();
  /** Answers that no SDK would deal with rightly, as text. */
  readonly refusals: string[] = [];
  slowestMs = 0;
  readonly #options: SeqClientOptions;
  readonly #seqs = new Map<string, number>();
  readonly #known: readonly string[];
  #next = 0;
  #strangers = 0;
  #stopped = false;

  constructor(options: SeqClientOptions) {
    this.#options = options;
    const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
    this.#known = [
      ...numbers(SOLOS).map((index) => `solo-${options.name}-${index}`),
      ...numbers(PAIRS).flatMap((index) => this.#pair(index)),
    ];
  }

  /** Posts until `stop`. */
  async run(): Promise<void> {
    const { captureUrl, eventsPerSecond } = this.#options;
    const client = new Client(captureUrl);
    const everyMs = (BATCH / eventsPerSecond) * 1_000;
    await this.#deliver(
      client,
      Array.from({ length: PAIRS }, (_, index) => this.#identify(index)),
    );
    for (let due = systemClock.monotonic(); !this.#stopped; due += everyMs) {
      const now = systemClock.monotonic();
      // What was missed while nobody answered is not caught up on.
      if (now > due + everyMs) due = now;
      else await sleep(systemClock, Math.max(0, due - now));
      await this.#deliver(client, this.#request());
    }
    client.close();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #deliver(client: Client, events: readonly LoadEvent[]): Promise<void> {
    for (const { uuid } of events) this.sent.add(uuid);
    while (!this.#stopped) {
      const begun = systemClock.monotonic();
      const answer = await client.post(events).catch(() => undefined);
      this.slowestMs = Math.max(this.slowestMs, Math.round(systemClock.monotonic() - begun));
      const status = answer?.status ?? 0;
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      if (answer?.status === 200) {
        for (const { uuid } of events) this.acknowledged.add(uuid);
        return;
      }
      if (answer !== undefined && (answer.status !== 503 || !(Number(answer.retryAfter) > 0))) {
        this.refusals.push(`${answer.status}, Retry-After ${answer.retryAfter}: ${answer.text.trim()}`);
      }
      await sleep(systemClock, RETRY_MS);
    }
  }

  #request(): LoadEvent[] {
    const { name, heldPerRequest } = this.#options;
    const held = Array.from({ length: heldPerRequest }, (_, index) => {
      // Two of each.
      if (index % 2 === 0) this.#strangers += 1;
      return this.#event(`held-${name}-${this.#strangers}`, {});
    });
    const known = Array.from({ length: BATCH - heldPerRequest }, () => {
      const id = this.#known[this.#next++ % this.#known.length] ?? '';
      return this.#event(id, { $device_id: id });
    });
    return [...held, ...known];
  }

  #pair(index: number): readonly [string, string] {
    const { name } = this.#options;
    return [`pair-${name}-${index}-a`, `pair-${name}-${index}-b`];
  }

  #identify(index: number): LoadEvent {
    const [a, b] = this.#pair(index);
    return { ...this.#event(b, { $anon_distinct_id: a }), event: '$identify' };
  }

  #event(distinct_id: string, properties: Readonly<Record<string, string>>): LoadEvent {
    const seq = (this.#seqs.get(distinct_id) ?? 0) + 1;
    this.#seqs.set(distinct_id, seq);
    return {
      uuid: randomUUID(),
      event: 'counted',
      distinct_id,
      timestamp: new Date().toISOString(),
      properties: { ...properties, seq, $set: { [seqKey(distinct_id)]: seq } },
    };
  }
}
