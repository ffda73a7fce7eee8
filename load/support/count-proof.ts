/** What counting clients may expect of their persons, whatever was killed in between. */
import type { Row } from '../../src/cli/terminal.ts';
import type { PersonCount } from './counting-client.ts';
import { problem } from './proof.ts';
import type { System } from './system.ts';

const COUNTS_IN_ROWS = `
  SELECT distinct_id,
    max(JSONExtractInt(properties, 'n')) AS newest,
    min(JSONExtractInt(properties, 'n')) AS oldest,
    countIf(JSONExtractInt(person_properties, 'n') < JSONExtractInt(properties, 'n')) AS behind
  FROM events FINAL GROUP BY distinct_id`;
const PERSONS_IN_POSTGRES = `
  SELECT d.distinct_id, (p.properties->>'n')::int AS n, (p.properties->>'first_n')::int AS first_n
  FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id`;
const PERSONS_IN_CLICKHOUSE = `
  SELECT d.distinct_id AS distinct_id, JSONExtractInt(p.properties, 'n') AS n
  FROM person_distinct_id2 AS d FINAL JOIN person AS p FINAL ON p.id = d.person_id`;

/**
 * Each person's `n` is that of its newest row, at least the newest one that was acknowledged and at most the newest
 * one that was sent; its `first_n` is that of its oldest row; and no row shows its person as it was before.
 */
export async function countProblems(
  system: System,
  persons: ReadonlyMap<string, PersonCount>,
): Promise<string[]> {
  const rows = byId(await system.query(COUNTS_IN_ROWS));
  const inPostgres = byId(await system.query(PERSONS_IN_POSTGRES, 'postgres'));
  const inClickHouse = byId(await system.query(PERSONS_IN_CLICKHOUSE));
  const outside: string[] = [];
  const unlikeRows: string[] = [];
  const unlikePostgres: string[] = [];
  const behind: string[] = [];
  for (const [id, { sent, acknowledged }] of persons) {
    if (sent === 0) continue;
    const row = rows.get(id);
    const { n, first_n } = inPostgres.get(id) ?? {};
    const shown = `${id} (n ${n}, sent ${sent}, acknowledged ${acknowledged}, newest row ${row?.['newest']})`;
    if (row === undefined && acknowledged === 0) continue;
    if (!(Number(n) >= acknowledged && Number(n) <= sent)) outside.push(shown);
    if (Number(n) !== Number(row?.['newest']) || Number(first_n) !== Number(row?.['oldest'])) {
      unlikeRows.push(shown);
    }
    if (Number(n) !== Number(inClickHouse.get(id)?.['n'])) unlikePostgres.push(shown);
    if (Number(row?.['behind']) !== 0) behind.push(shown);
  }
  return [
    ...problem(outside, 'persons have another "n" than their acknowledged events gave them'),
    ...problem(unlikeRows, 'persons do not have the values of their newest and their oldest row'),
    ...problem(unlikePostgres, 'persons differ between Postgres and ClickHouse'),
    ...problem(behind, 'persons have rows that show them without their own event'),
  ];
}

function byId(rows: readonly Row[]): ReadonlyMap<string, Row> {
  return new Map(rows.map((row) => [String(row['distinct_id']), row]));
}
