/** What must hold once everything has settled, checked from outside: the rows, the books and the persons. */
import type { Books } from '../../src/books.ts';
import { sleep, systemClock } from '../../src/clock.ts';
import type { System } from './system.ts';

const SETTLE_TIMEOUT_MS = 120_000;
const POLL_MS = 100;
/** Fewer than a query of the console may answer. */
const ROWS_PER_QUERY = 50_000;

/** Whoever answers queries and shows the books. */
export type Observed = Pick<System, 'query' | 'books'>;

/** Uuids of events by what the clients know of them. */
export interface Posted {
  readonly sent: ReadonlySet<string>;
  /** Answered 200. */
  readonly acknowledged: ReadonlySet<string>;
}

export interface RowCounts {
  /** As they are stored now: ClickHouse may not have merged repeats yet. */
  readonly stored: number;
  readonly uuids: number;
}

export async function countRows(system: Observed): Promise<RowCounts> {
  const [row] = await system.query('SELECT count() AS stored, uniqExact(uuid) AS uuids FROM events');
  return { stored: Number(row?.['stored']), uuids: Number(row?.['uuids']) };
}

/** Waits until nothing is on its way any more: in the books, and for events and persons in ClickHouse. */
export async function settle(system: Observed): Promise<Books> {
  const deadline = systemClock.monotonic() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const books = await system.books();
    const { uuids } = await countRows(system);
    const isQuiet = books.waiting + books.in_flight + books.held === 0;
    const versions = isQuiet ? await versionSums(system) : [];
    if (isQuiet && uuids >= books.rows && versions[0] === versions[1]) return books;
    if (systemClock.monotonic() > deadline) {
      const found = { uuids, versions, books };
      throw new Error(`not settled after ${SETTLE_TIMEOUT_MS} ms: ${JSON.stringify(found)}`);
    }
    await sleep(systemClock, POLL_MS);
  }
}

/** Of all persons and distinct ids, as two texts: in Postgres, and in ClickHouse, which hears of them later. */
export async function versionSums(system: Observed): Promise<readonly string[]> {
  const rows = await Promise.all([
    system.query(
      `SELECT persons, person_versions, ids, id_versions
       FROM (SELECT count(*) AS persons, sum(version)::bigint AS person_versions FROM posthog_person) p,
         (SELECT count(*) AS ids, sum(version)::bigint AS id_versions FROM posthog_persondistinctid) d`,
      'postgres',
    ),
    system.query(
      `SELECT persons, person_versions, ids, id_versions
       FROM (SELECT count() AS persons, sum(version) AS person_versions FROM person FINAL WHERE is_deleted = 0) AS p,
         (SELECT count() AS ids, sum(version) AS id_versions FROM person_distinct_id2 FINAL WHERE is_deleted = 0) AS d`,
    ),
  ]);
  return rows.map(([row]) =>
    Object.entries(row ?? {})
      .map(([name, sum]) => `${name} ${sum ?? 0}`)
      .join(', '),
  );
}

/** Settled books in which every event is a row. `rows`: how many there are in ClickHouse. */
export function booksProblems(books: Books, rows: number): string[] {
  const problems: string[] = [];
  if (books.imbalance !== 0) problems.push(`the books have an imbalance of ${books.imbalance}`);
  if (books.waiting + books.in_flight + books.held !== 0) problems.push('events are still on their way');
  if (books.acknowledged !== books.rows) {
    problems.push(`the books have ${books.acknowledged} acknowledged events and ${books.rows} rows`);
  }
  if (books.rows !== rows) problems.push(`the books have ${books.rows} rows, ClickHouse has ${rows}`);
  for (const fates of [books.dropped, books.dead_lettered]) {
    if (Object.keys(fates).length > 0)
      problems.push(`not every event became a row: ${JSON.stringify(fates)}`);
  }
  return problems;
}

/** No event lost, none made up, none there twice. */
export async function rowProblems(system: Observed, { sent, acknowledged }: Posted): Promise<string[]> {
  const rows = await rowsByUuid(system);
  const lost = [...acknowledged].filter((uuid) => !rows.has(uuid));
  const unknown = [...rows.keys()].filter((uuid) => !sent.has(uuid));
  const repeated = [...rows].filter(([, count]) => count !== 1).map(([uuid]) => uuid);
  return [
    ...problem(lost, 'events were answered 200 and have no row'),
    ...problem(unknown, 'rows are of events that nobody sent'),
    ...problem(repeated, 'events have more than one row after FINAL'),
  ];
}

export interface SentIds {
  /** All ids of which an event was sent. */
  readonly sent: ReadonlySet<string>;
  /** Those that must have a person. */
  readonly acknowledged: ReadonlySet<string>;
  /** Those whose events have all left the log, and may have no row. */
  readonly lost?: ReadonlySet<string>;
}

/** Every distinct id has one person, the same in `events`, in `person_distinct_id2` and in Postgres. */
export async function personProblems(
  system: Observed,
  { sent, acknowledged, lost = new Set() }: SentIds,
): Promise<string[]> {
  const [inEvents, inMappings, inPostgres] = await Promise.all([
    personsById(system, 'SELECT DISTINCT distinct_id, toString(person_id) AS person FROM events'),
    personsById(system, 'SELECT distinct_id, toString(person_id) AS person FROM person_distinct_id2 FINAL'),
    personsById(
      system,
      `SELECT d.distinct_id, p.uuid::text AS person
       FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id`,
      'postgres',
    ),
  ]);
  const wrong = [...new Set([...acknowledged, ...inEvents.keys(), ...inPostgres.keys()])].filter((id) => {
    const sources =
      lost.has(id) && !inEvents.has(id) ? [inMappings, inPostgres] : [inEvents, inMappings, inPostgres];
    const persons = sources.map((found) => found.get(id)?.join(' '));
    return persons.some((person) => person === undefined || person.includes(' ') || person !== persons[0]);
  });
  const unknown = [...inPostgres.keys()].filter((id) => !sent.has(id));
  return [
    ...problem(wrong, 'distinct ids have no person, or several, or not the same everywhere'),
    ...problem(unknown, 'distinct ids in Postgres are of nobody who sent an event'),
  ];
}

async function personsById(
  system: Observed,
  sql: string,
  database: 'clickhouse' | 'postgres' = 'clickhouse',
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  for (const row of await system.query(sql, database)) {
    const id = String(row['distinct_id']);
    const persons = found.get(id);
    if (persons === undefined) found.set(id, [String(row['person'])]);
    else persons.push(String(row['person']));
  }
  return found;
}

async function rowsByUuid(system: Observed): Promise<ReadonlyMap<string, number>> {
  const { uuids } = await countRows(system);
  const pages = Math.ceil((uuids * 2 + 1) / ROWS_PER_QUERY);
  const found = new Map<string, number>();
  for (let page = 0; page < pages; page++) {
    const rows = await system.query(
      `SELECT uuid, count() AS rows FROM events FINAL WHERE cityHash64(uuid) % ${pages} = ${page} GROUP BY uuid`,
    );
    for (const row of rows) found.set(String(row['uuid']), Number(row['rows']));
  }
  return found;
}

/** One line with the first few of them, or none. */
export function problem(found: readonly string[], what: string): string[] {
  return found.length === 0 ? [] : [`${found.length} ${what}: ${found.slice(0, 3).join(', ')} …`];
}
