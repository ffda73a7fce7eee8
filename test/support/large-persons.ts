/** Persons with many distinct ids, put into Postgres as they would be there, and what their merge takes at least. */
import { asDistinctId, type DistinctId, type PersonUuid } from '../../src/event/ids.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';

/** The id of this person at this place; the first one is its name. */
export const idAt = (name: string, index: number): DistinctId =>
  asDistinctId(index === 0 ? name : `${name}-0191c2f0-7b5e-7a31-9a5d-${String(index).padStart(12, '0')}`);

/** Gives the person, who has the first of these ids, the others. */
export async function fillIds(
  postgres: Postgres,
  person: PersonUuid,
  name: string,
  count: number,
): Promise<void> {
  const others = Array.from({ length: count - 1 }, (_, index) => idAt(name, index + 1));
  await postgres.query(
    `INSERT INTO posthog_persondistinctid (team_id, person_id, distinct_id, version)
     SELECT p.team_id, p.id, s.id, 1 FROM posthog_person p, unnest($2::text[]) AS s (id) WHERE p.uuid = $1`,
    [person, others],
  );
}

export async function countIds(postgres: Postgres, person: PersonUuid): Promise<number> {
  const { rows } = await postgres.query<{ count: number }>(
    `SELECT count(*) FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id
     WHERE p.uuid = $1`,
    [person],
  );
  return rows[0]?.count ?? 0;
}

/** What Postgres takes on this machine, now, to lead all ids of `from` to `into`. They do not stay there. */
export async function bareMoveMs(postgres: Postgres, from: PersonUuid, into: PersonUuid): Promise<number> {
  const begunAtMs = performance.now();
  const undone = new Error('undone');
  const update = postgres.transaction(async (transaction) => {
    await transaction.query(
      `UPDATE posthog_persondistinctid SET person_id = (SELECT id FROM posthog_person WHERE uuid = $1)
       WHERE person_id = (SELECT id FROM posthog_person WHERE uuid = $2)`,
      [into, from],
    );
    await transaction.query('SET CONSTRAINTS ALL IMMEDIATE');
    throw undone;
  });
  await update.catch((error: unknown) => {
    if (error !== undone) throw error;
  });
  return performance.now() - begunAtMs;
}
