/**
 * Rows of PostHog's own tables that name a person: they follow it when it is merged away. A database that Tributary
 * made does not have these tables.
 */
import type { Queryable } from './pool.ts';

/** `unique`: what a person has at most one row for. */
interface Reference {
  readonly table: string;
  readonly unique: string;
}

const REFERENCES: readonly Reference[] = [
  { table: 'posthog_cohortpeople', unique: 'cohort_id' },
  { table: 'posthog_featureflaghashkeyoverride', unique: 'feature_flag_key' },
];

export type FindReferences = (postgres: Queryable) => Promise<readonly Reference[]>;

/** Looks which of the tables are there, once. */
export function referenceFinder(): FindReferences {
  let found: readonly Reference[] | undefined;
  return async (postgres) => {
    if (found) return found;
    const { rows } = await postgres.query<{ name: string }>(
      'SELECT name FROM unnest($1::text[]) AS asked (name) WHERE to_regclass(name) IS NOT NULL',
      [REFERENCES.map(({ table }) => table)],
    );
    const there = new Set(rows.map(({ name }) => name));
    found = REFERENCES.filter(({ table }) => there.has(table));
    return found;
  };
}

/** `from` and `into`: `posthog_person.id`. What the survivor has already stays as it is. */
export async function moveReferences(
  postgres: Queryable,
  references: readonly Reference[],
  moves: readonly { readonly from: number; readonly into: number }[],
): Promise<void> {
  const from = moves.map((move) => move.from);
  const into = moves.map((move) => move.into);
  for (const { table, unique } of references) {
    await postgres.query(
      `UPDATE ${table} AS r SET person_id = s.into_id
       FROM (
         SELECT DISTINCT ON (m.into_id, r.${unique}) r.id, m.into_id
         FROM ${table} r JOIN unnest($1::bigint[], $2::bigint[]) AS m (from_id, into_id) ON r.person_id = m.from_id
         WHERE NOT EXISTS (SELECT FROM ${table} t WHERE t.person_id = m.into_id AND t.${unique} = r.${unique})
         ORDER BY m.into_id, r.${unique}, r.id
       ) AS s WHERE r.id = s.id`,
      [from, into],
    );
    await postgres.query(`DELETE FROM ${table} WHERE person_id = ANY($1::bigint[])`, [from]);
  }
}
