/** The rows of events whose uuids a client knows. */
import type { Test } from 'tap';
import { type TestSystem, until } from '../system/harness.ts';
import type { Made } from './site.ts';

export interface EventRow {
  readonly uuid: string;
  readonly event: string;
  readonly person_mode: string;
  readonly isHistorical: boolean;
  /** Whom it leads to by now. */
  readonly person: string;
  /** JSON. */
  readonly properties: string;
}

/** As long as the most patient client may take to send what it has made. */
const SENT_MS = 90_000;

/** Waits until every event that was made is a row, once, and everybody else settled. `made` is asked again and again. */
export async function rowsOf(
  t: Test,
  system: TestSystem,
  made: () => readonly Made[],
): Promise<readonly EventRow[]> {
  let missing: readonly Made[] = [];
  await until(
    () => `rows of ${JSON.stringify(missing)}`,
    async () => {
      const all = made();
      const there = new Set((await find(system, all)).map(({ uuid }) => uuid));
      missing = all.filter(({ uuid }) => !there.has(uuid));
      return (all.length > 0 && missing.length === 0) || undefined;
    },
    SENT_MS,
  );
  await system.settled();
  const rows = await find(system, made());
  t.equal(rows.length, made().length, 'every event is there once');
  return rows;
}

async function find(system: TestSystem, made: readonly Made[]): Promise<readonly EventRow[]> {
  if (made.length === 0) return [];
  const uuids = made.map(({ uuid }) => `'${uuid}'`).join();
  const rows = await system.sql(`
    SELECT toString(uuid) AS uuid, event, person_mode, properties, historical_migration,
      toString(if(o.version > 0, o.person_id, e.person_id)) AS person
    FROM events AS e FINAL LEFT JOIN person_distinct_id2 AS o FINAL ON o.distinct_id = e.distinct_id
    WHERE uuid IN (${uuids})`);
  return rows.map((row) => {
    const text = (name: string) => String(row[name]);
    return {
      uuid: text('uuid'),
      event: text('event'),
      person_mode: text('person_mode'),
      isHistorical: row['historical_migration'] === true,
      person: text('person'),
      properties: text('properties'),
    };
  });
}

export const personsOf = (rows: readonly EventRow[]): ReadonlySet<string> =>
  new Set(rows.map(({ person }) => person));
/** Each once, sorted. */
export const namesOf = (rows: readonly EventRow[]): readonly string[] =>
  [...new Set(rows.map(({ event }) => event))].toSorted();
