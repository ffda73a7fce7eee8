/** A client that goes on sending while something is broken, and what must hold of its events afterwards. */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { type TestSystem, TOKEN } from '../harness.ts';

const PERSONS = 40;
const BATCH = 5;
const PAUSE_MS = 20;
/** For a machine that is busy with other things. */
const TAKES_TIMEOUT_MS = 60_000;

interface Person {
  sent: number;
  acknowledged: number;
}

export interface SenderOptions {
  /** Characters of a property that fills the disk. */
  readonly fillerChars?: number;
  /** The same of a person property. */
  readonly personFillerChars?: number;
}

/** Sends until it is stopped: batches of events, each with `$set: { n }`, the `n` of a person rising. */
export class Sender {
  readonly #system: TestSystem;
  readonly #filler: string;
  readonly #personFiller: string;
  readonly #persons = new Map<string, Person>();
  readonly #sent = new Set<string>();
  readonly #acknowledged = new Set<string>();
  /** Answers by status; 0: none. */
  readonly statuses = new Map<number, number>();
  /** Milliseconds of the slowest answer. */
  slowestMs = 0;
  #stopped = false;
  #running: Promise<void>;

  constructor(t: Test, system: TestSystem, { fillerChars = 0, personFillerChars = 0 }: SenderOptions = {}) {
    this.#system = system;
    this.#filler = filler(fillerChars);
    this.#personFiller = filler(personFillerChars);
    this.#running = this.#run();
    t.teardown(() => this.stop());
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** Resolves once this many more events have been answered 200. */
  async takes(events: number): Promise<void> {
    const aim = this.acknowledged + events;
    const deadline = performance.now() + TAKES_TIMEOUT_MS;
    while (this.acknowledged < aim) {
      if (performance.now() > deadline) throw new Error(`no ${events} events were taken: ${this.summary()}`);
      await sleep(PAUSE_MS);
    }
  }

  summary(): string {
    const answers = [...this.statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
    return `${this.acknowledged} of ${this.#sent.size} events acknowledged (${answers}; slowest ${this.slowestMs.toFixed()} ms)`;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Stops, waits until everything is a row, and lists what is wrong. */
  async problems(): Promise<string[]> {
    await this.stop();
    const books = await this.#system.settled();
    const rows = await this.#system.sql(
      'SELECT toString(uuid) AS uuid, count() AS rows FROM events FINAL GROUP BY uuid',
    );
    const uuids = new Set(rows.map(({ uuid }) => String(uuid)));
    const lost = [...this.#acknowledged].filter((uuid) => !uuids.has(uuid));
    const strange = [...uuids].filter((uuid) => !this.#sent.has(uuid));
    const twice = rows.filter((row) => Number(row['rows']) !== 1);
    return [
      ...some(lost, 'events were answered 200 and are no rows'),
      ...some(strange, 'rows are of events that nobody sent'),
      ...some(twice, 'events are several rows'),
      ...some(Object.keys(books.dead_lettered), 'reasons have dead letters'),
      ...(await this.#personProblems()),
    ];
  }

  async #personProblems(): Promise<string[]> {
    const rows = await this.#system.postgres(`SELECT d.distinct_id, (p.properties->>'n')::int AS n
      FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id`);
    const found = new Map(rows.map((row) => [String(row['distinct_id']), Number(row['n'])]));
    const wrong = [...this.#persons].filter(([id, { sent, acknowledged }]) => {
      const n = found.get(id) ?? 0;
      return n < acknowledged || n > sent;
    });
    return some(
      wrong.map(([id, { sent, acknowledged }]) => `${id}: ${found.get(id)}, not in ${acknowledged}..${sent}`),
      'persons have another "n" than their acknowledged events gave them',
    );
  }

  async #run(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const ids = Array.from({ length: BATCH }, (_, index) => `person-${(turn * BATCH + index) % PERSONS}`);
      await this.#post(ids);
      await sleep(PAUSE_MS);
    }
  }

  async #post(ids: readonly string[]): Promise<void> {
    const events = ids.map((id) => {
      const person = this.#persons.get(id) ?? { sent: 0, acknowledged: 0 };
      this.#persons.set(id, person);
      person.sent += 1;
      return {
        uuid: randomUUID(),
        event: 'moved',
        distinct_id: id,
        properties: {
          $set: { n: person.sent, filler: `${person.sent}${this.#personFiller}` },
          filler: this.#filler,
        },
      };
    });
    for (const { uuid } of events) this.#sent.add(uuid);
    const begun = performance.now();
    const { status } = await this.#system
      .post('/batch', JSON.stringify({ api_key: TOKEN, batch: events }))
      .catch(() => ({ status: 0 }));
    this.slowestMs = Math.max(this.slowestMs, performance.now() - begun);
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    if (status !== 200) return;
    for (const { uuid, distinct_id, properties } of events) {
      this.#acknowledged.add(uuid);
      const person = this.#persons.get(distinct_id);
      if (person) person.acknowledged = properties.$set.n;
    }
  }
}

/** Text that no compression makes much smaller. */
function filler(chars: number): string {
  return randomBytes(Math.ceil(chars / 2)).toString('hex');
}

function some(found: readonly unknown[], what: string): string[] {
  return found.length === 0 ? [] : [`${found.length} ${what}: ${JSON.stringify(found.slice(0, 3))}`];
}
