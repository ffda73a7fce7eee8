/** Holds the system to what it has answered: every event is a row, a dead letter or a counted drop, or nowhere. */
import type { Books } from '../../src/books.ts';
import { sleep, systemClock } from '../../src/clock.ts';
import { difference, sum } from '../support/balance.ts';
import type { System } from '../support/system.ts';
import type { Promised } from './judge.ts';
import { isOfInputs } from './own-ids.ts';

/** Something that is not as it must be, and the input that shows it, if it is known which. */
export interface Finding {
  readonly problem: string;
  readonly input: number | undefined;
}

const SETTLE_TIMEOUT_MS = 180_000;
const POLL_MS = 100;
/** Their events are fewer than a query of the console may answer. */
const INPUTS_PER_QUERY = 1_000;
const UUIDS_PER_QUERY = 1_000;

/** An event, and the input that it was in. */
interface Sent extends Promised {
  readonly input: number;
}

/** Of one round. */
export class Accounts {
  readonly #durable = new Map<string, Sent>();
  readonly #refused = new Map<string, number>();

  add(input: number, durable: readonly Promised[], refused: readonly string[]): void {
    for (const event of durable) this.#durable.set(event.uuid, { ...event, input });
    for (const uuid of refused) this.#refused.set(uuid, input);
  }

  /** `from` to `to`: the inputs of this round. `drops`: how many drops other than duplicates there were in it. */
  async findings(system: System, from: number, to: number, drops: number): Promise<readonly Finding[]> {
    const found = await knownUuids(system, from, to);
    const unseen = [...this.#durable.keys()].filter((uuid) => !found.has(uuid));
    for (const uuid of await lookFor(system, unseen)) found.add(uuid);
    const missing = unseen.flatMap((uuid) => (found.has(uuid) ? [] : (this.#durable.get(uuid) ?? [])));
    const lost = missing.filter(({ mayDrop }) => !mayDrop);
    const made = [...this.#refused].filter(([uuid]) => found.has(uuid) && !this.#durable.has(uuid));
    const findings: Finding[] = [
      ...lost.map(({ uuid, input }) => ({ problem: `${LOST}: ${uuid}`, input })),
      ...made.map(([uuid, input]) => ({ problem: `refused, and there all the same: ${uuid}`, input })),
    ];
    const dropped = missing.length - lost.length;
    if (dropped > drops) {
      const problem = `${dropped} events are neither rows nor dead letters, and ${drops} were dropped`;
      findings.push({ problem, input: undefined });
    }
    return findings;
  }
}

const LOST = 'answered 200, and neither a row nor a dead letter, nor of a kind that is dropped';

/** All uuids that end as those of these inputs do. */
async function knownUuids(system: System, from: number, to: number): Promise<Set<string>> {
  const found = new Set<string>();
  for (let first = from; first < to; first += INPUTS_PER_QUERY) {
    const last = Math.min(to, first + INPUTS_PER_QUERY);
    for (const uuid of await select(system, (column) => isOfInputs(column, first, last))) found.add(uuid);
  }
  return found;
}

/** Which of these are there, whatever they look like: a flipped bit makes a uuid another one. */
async function lookFor(system: System, uuids: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (let at = 0; at < uuids.length; at += UUIDS_PER_QUERY) {
    const list = uuids.slice(at, at + UUIDS_PER_QUERY).map((uuid) => `'${uuid}'`);
    found.push(...(await select(system, (column) => `${column} IN (${list.join(', ')})`)));
  }
  return found;
}

async function select(system: System, where: (column: string) => string): Promise<readonly string[]> {
  const rows = await system.query(`
    SELECT DISTINCT toString(uuid) AS found FROM events WHERE ${where('uuid')}
    UNION DISTINCT
    SELECT DISTINCT toString(event_uuid) AS found FROM events_dead_letter_queue WHERE ${where('event_uuid')}`);
  return rows.map((row) => String(row['found']));
}

interface Stored {
  readonly rows: number;
  readonly deadLetters: number;
}

/** Waits until nothing is on its way any more, and ClickHouse has what the books say. Rejects after three minutes. */
export async function settled(system: System): Promise<Books> {
  const deadline = systemClock.monotonic() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const books = await system.books();
    const isQuiet = books.waiting + books.in_flight + books.held + books.spooled === 0;
    const stored = isQuiet ? await storedIn(system) : undefined;
    const { rows, deadLetters } = expected(books);
    if (stored?.rows === rows && stored.deadLetters === deadLetters && (await doorAgrees(system, books)))
      return books;
    if (systemClock.monotonic() > deadline) {
      throw new Error(`not settled after ${SETTLE_TIMEOUT_MS} ms: ${JSON.stringify({ stored, books })}`);
    }
    await sleep(systemClock, POLL_MS);
  }
}

const expected = (books: Books): Stored => ({
  rows: books.rows,
  deadLetters: sum(books.dead_lettered) + sum(books.door.dead_lettered),
});

async function storedIn(system: System): Promise<Stored> {
  const [row] = await system.query(
    `SELECT (SELECT count() FROM events FINAL) AS rows,
      (SELECT count() FROM events_dead_letter_queue FINAL) AS letters`,
  );
  return { rows: Number(row?.['rows']), deadLetters: Number(row?.['letters']) };
}

/** The door writes its counts down once a second; the metrics have them at once. */
async function doorAgrees(system: System, { door }: Books): Promise<boolean> {
  const refused = await system.metric('tributary_capture_refused_total');
  const discarded = await system.metric('tributary_capture_discarded_total');
  return refused === sum(door.refused) && discarded === sum(door.discarded);
}

/** Of settled books. `durableEvents`: that were answered 200, as far as that is known. */
export async function booksFindings(
  system: System,
  books: Books,
  durableEvents: number,
): Promise<readonly Finding[]> {
  const problems: string[] = [];
  const fates = books.rows + sum(books.dead_lettered) + sum(books.dropped);
  if (books.imbalance !== 0) problems.push(`the books have an imbalance of ${books.imbalance}`);
  if (books.acknowledged !== fates)
    problems.push(`the books have ${books.acknowledged} events, and ${fates} fates`);
  const taken = await system.metric('tributary_capture_events_total');
  if (taken !== books.acknowledged)
    problems.push(`the door took ${taken} events, the books have ${books.acknowledged}`);
  if (books.acknowledged < durableEvents) {
    problems.push(`${durableEvents} events were answered 200, the books have ${books.acknowledged}`);
  }
  return problems.map((problem) => ({ problem, input: undefined }));
}

/** Drops between two books that leave nothing behind: a duplicate has the row of the first. */
export function dropsBetween(before: Books, after: Books): number {
  const drops = difference(after.dropped, before.dropped);
  return sum(drops) - (drops['duplicate'] ?? 0);
}
