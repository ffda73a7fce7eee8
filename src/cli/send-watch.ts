/** Looks for what became of one event: its row, its dead letter, or a drop in the books. */
import type { Books } from '../books.ts';
import type { HeldAnswer } from '../console/held.ts';
import type { ConsoleClient } from './client.ts';
import type { Found } from './send-outcome.ts';

/** Dead letters, warnings and books are looked at once in so many times. */
const OTHERS_EVERY = 8;

export class Watch {
  readonly #client: ConsoleClient;
  readonly #uuid: string;
  #before: Books | undefined;
  #looks = 0;

  constructor(client: ConsoleClient, uuid: string) {
    this.#client = client;
    this.#uuid = uuid;
  }

  /** Before the event is sent: the books to compare with. */
  async begin(): Promise<void> {
    this.#before = await this.#client.books();
  }

  books(): Promise<Books> {
    return this.#client.books();
  }

  held(): Promise<HeldAnswer> {
    return this.#client.held(this.#uuid);
  }

  /** `undefined`: nothing yet. */
  async look(): Promise<Found | undefined> {
    const row = await this.#row();
    if (row) return row;
    this.#looks += 1;
    if (this.#looks % OTHERS_EVERY !== 0) return undefined;
    return (await this.#deadLetter()) ?? (await this.#drop());
  }

  async #row(): Promise<Found | undefined> {
    // The day keeps ClickHouse from reading all events: they are not sorted by uuid.
    const [row] = await this.#client.query(
      'clickhouse',
      `SELECT event, distinct_id, team_id, person_id, person_mode, person_properties,
         properties, timestamp
       FROM events WHERE uuid = '${this.#uuid}' AND timestamp > now() - INTERVAL 1 DAY LIMIT 1`,
    );
    return row && { kind: 'row', row };
  }

  async #deadLetter(): Promise<Found | undefined> {
    const [letter] = await this.#client.query(
      'clickhouse',
      `SELECT error AS reason, error_location AS stage, tags
       FROM events_dead_letter_queue WHERE event_uuid = '${this.#uuid}' LIMIT 1`,
    );
    return letter && { kind: 'dead_letter', letter };
  }

  /** A drop leaves no trace of the event but a count and, for some reasons, a warning. */
  async #drop(): Promise<Found | undefined> {
    const books = await this.#client.books();
    const settled = books.waiting + books.in_flight === 0;
    const dropped = grown(books.dropped, this.#before?.dropped);
    if (settled && dropped !== undefined) {
      return { kind: 'dropped', reason: dropped, warnings: await this.#warnings() };
    }
    const discarded = grown(books.door.discarded, this.#before?.door.discarded);
    return discarded === undefined ? undefined : { kind: 'discarded', reason: discarded };
  }

  async #warnings(): Promise<readonly string[]> {
    const rows = await this.#client.query(
      'clickhouse',
      `SELECT type, details FROM ingestion_warnings WHERE position(details, '${this.#uuid}') > 0 LIMIT 10`,
    );
    return rows.map(({ type, details }) => `${type} ${details}`);
  }
}

/** The reason that is counted more often than before. */
function grown(now: Readonly<Record<string, number>>, before: Readonly<Record<string, number>> = {}) {
  return Object.keys(now).find((reason) => (now[reason] ?? 0) > (before[reason] ?? 0));
}
