/** What the works of a save say about persons and ids, as rows. */
import { asDistinctId, asPersonUuid, type PersonUuid } from '../../event/ids.ts';
import type { MergedAway } from '../../person/known.ts';
import type { Person } from '../../person/person.ts';
import type { MovedId, PersonWork } from '../person-store.ts';
import { type FindReferences, moveReferences } from './person-references.ts';
import { ConflictError, type Queryable } from './pool.ts';
import type { Checked, Confirmed, IdCounts, RowIds } from './save-beliefs.ts';

/** Properties come as one JSON: in an array of Postgres, pg would escape each of their quotes. */
const INSERT_PERSONS = `
  INSERT INTO posthog_person (team_id, uuid, created_at, properties, properties_last_updated_at,
    properties_last_operation, is_identified, version)
  SELECT team_id, uuid, to_timestamp(created_ms / 1000.0), properties::jsonb, '{}', '{}', is_identified, version
  FROM ROWS FROM (
    unnest($1::int[], $2::uuid[], $3::float8[], $4::bool[], $5::bigint[]), json_array_elements($6::json)
  ) AS s (team_id, uuid, created_ms, is_identified, version, properties)
  RETURNING id, uuid`;

const UPDATE_PERSONS = `
  UPDATE posthog_person AS p SET created_at = to_timestamp(s.created_ms / 1000.0), properties = s.properties::jsonb,
    is_identified = s.is_identified, version = s.version
  FROM ROWS FROM (
    unnest($1::bigint[], $2::float8[], $3::bool[], $4::bigint[]), json_array_elements($5::json)
  ) AS s (id, created_ms, is_identified, version, properties)
  WHERE p.id = s.id`;

const MOVE_IDS = `
  UPDATE posthog_persondistinctid AS d SET person_id = s.into_id, version = coalesce(d.version, 0) + 1
  FROM unnest($1::bigint[], $2::bigint[]) AS s (from_id, into_id) WHERE d.person_id = s.from_id
  RETURNING s.from_id, d.distinct_id, d.version`;

const CHECK_REFERENCES = 'SET CONSTRAINTS ALL IMMEDIATE';

/** In the order of the ids, so that two saves never wait for each other in a circle. */
const INSERT_IDS = `
  INSERT INTO posthog_persondistinctid (team_id, person_id, distinct_id, version)
  SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::bigint[])
    AS s (team_id, person_id, distinct_id, version)
  ORDER BY team_id, distinct_id COLLATE "C"
  ON CONFLICT (team_id, distinct_id) DO NOTHING`;

const DELETE_PERSONS = 'DELETE FROM posthog_person WHERE id = ANY($1::bigint[])';

const RECORD_MERGED = `
  INSERT INTO tributary_merged (team_id, uuid, into_uuid, version, created_at)
  SELECT team_id, uuid, into_uuid, version, to_timestamp(created_ms / 1000.0)
  FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::float8[])
    AS s (team_id, uuid, into_uuid, version, created_ms)
  ON CONFLICT (uuid, team_id) DO UPDATE SET into_uuid = excluded.into_uuid, version = excluded.version,
    created_at = excluded.created_at, merged_at = now()`;

/** Writes what changed. Returns the ids that merges moved. */
export async function writePersons(
  postgres: Queryable,
  findReferences: FindReferences,
  { confirmed, rowIds, idCounts }: Checked,
  mergeIdsMax: number,
): Promise<ReadonlyMap<PersonWork, readonly MovedId[]>> {
  const written = confirmed.flatMap(({ folded }) => folded.written);
  const made = await insertPersons(
    postgres,
    written.filter(({ uuid }) => !rowIds.has(uuid)),
  );
  await updatePersons(
    postgres,
    written.flatMap((person) => {
      const id = rowIds.get(person.uuid);
      return id === undefined ? [] : [{ id, person }];
    }),
  );
  const allIds = made.size === 0 ? rowIds : new Map([...rowIds, ...made]);
  const moves = confirmed.flatMap(({ work, folded }) =>
    folded.merged.flatMap(moveOf(work, allIds, idCounts)),
  );
  const moved = await moveIds(postgres, moves, mergeIdsMax);
  await insertIds(postgres, confirmed, allIds);
  if (moves.length > 0) {
    await moveReferences(postgres, await findReferences(postgres), moves);
    await postgres.query(DELETE_PERSONS, [moves.map(({ from }) => from)]);
  }
  await recordMerged(
    postgres,
    confirmed.flatMap(({ folded }) => folded.merged),
  );
  return moved;
}

/** What leads to the row `from` leads to the row `into` from now on. */
interface Move {
  readonly work: PersonWork;
  readonly from: number;
  readonly into: number;
  readonly survivor: PersonUuid;
  /** Distinct ids that it moves. */
  readonly ids: number;
}

/** Nothing for a person that was made and merged away by the same fold. */
const moveOf =
  (work: PersonWork, rowIds: RowIds, idCounts: IdCounts) =>
  ({ person, into }: MergedAway): Move[] => {
    const from = rowIds.get(person.uuid);
    if (from === undefined) return [];
    const ids = idCounts.get(person.uuid) ?? 0;
    return [{ work, from, into: rowIdOf(into, rowIds), survivor: into, ids }];
  };

function rowIdOf(uuid: PersonUuid, rowIds: RowIds): number {
  const id = rowIds.get(uuid);
  if (id === undefined) throw new Error(`the fold gives ids to person ${uuid}, whom it did not write`);
  return id;
}

async function insertPersons(postgres: Queryable, persons: readonly Person[]): Promise<RowIds> {
  if (persons.length === 0) return new Map();
  const { rows } = await postgres.query<{ id: number; uuid: string }>(INSERT_PERSONS, [
    persons.map(({ teamId }) => teamId),
    persons.map(({ uuid }) => uuid),
    persons.map(({ createdAtMs }) => createdAtMs),
    persons.map(({ isIdentified }) => isIdentified),
    persons.map(({ version }) => version),
    JSON.stringify(persons.map(({ properties }) => properties)),
  ]);
  return new Map(rows.map(({ id, uuid }) => [asPersonUuid(uuid), id]));
}

async function updatePersons(
  postgres: Queryable,
  rows: readonly { readonly id: number; readonly person: Person }[],
): Promise<void> {
  if (rows.length === 0) return;
  await postgres.query(UPDATE_PERSONS, [
    rows.map(({ id }) => id),
    rows.map(({ person }) => person.createdAtMs),
    rows.map(({ person }) => person.isIdentified),
    rows.map(({ person }) => person.version),
    JSON.stringify(rows.map(({ person }) => person.properties)),
  ]);
}

/** No statement moves more ids than one merge may, or a few large ones together would take too long for any. */
async function moveIds(
  postgres: Queryable,
  moves: readonly Move[],
  mergeIdsMax: number,
): Promise<ReadonlyMap<PersonWork, readonly MovedId[]>> {
  const moved = new Map<PersonWork, MovedId[]>(moves.map(({ work }) => [work, []]));
  const batches = inBatches(moves, mergeIdsMax);
  for (const batch of batches) {
    const { rows } = await postgres.query<MovedRow>(MOVE_IDS, [
      batch.map(({ from }) => from),
      batch.map(({ into }) => into),
    ]);
    const byRow = new Map(batch.map((move) => [move.from, move]));
    for (const { from_id, distinct_id, version } of rows) {
      const move = byRow.get(from_id);
      if (move === undefined) continue;
      moved.get(move.work)?.push({ distinctId: asDistinctId(distinct_id), person: move.survivor, version });
    }
    // Else the commit checks all of them at once.
    if (batches.length > 1) await postgres.query(CHECK_REFERENCES);
  }
  return moved;
}

interface MovedRow {
  readonly from_id: number;
  readonly distinct_id: string;
  readonly version: number;
}

function inBatches(moves: readonly Move[], idsMax: number): readonly (readonly Move[])[] {
  const batches: Move[][] = [];
  let ids = Number.POSITIVE_INFINITY;
  for (const move of moves) {
    ids += move.ids;
    if (ids > idsMax) {
      batches.push([]);
      ids = move.ids;
    }
    batches.at(-1)?.push(move);
  }
  return batches;
}

async function insertIds(
  postgres: Queryable,
  confirmed: readonly Confirmed[],
  rowIds: RowIds,
): Promise<void> {
  const ids = confirmed.flatMap(({ work, folded }) =>
    folded.newIds.map((id) => ({ ...id, teamId: work.teamId, rowId: rowIdOf(id.person, rowIds) })),
  );
  if (ids.length === 0) return;
  const { rowCount } = await postgres.query(INSERT_IDS, [
    ids.map(({ teamId }) => teamId),
    ids.map(({ rowId }) => rowId),
    ids.map(({ distinctId }) => distinctId),
    ids.map(({ version }) => version),
  ]);
  // Somebody took one of the ids since it was checked: nothing of this save may stay.
  if (rowCount !== ids.length)
    throw new ConflictError('a distinct id was taken while the save was under way');
}

async function recordMerged(postgres: Queryable, merged: readonly MergedAway[]): Promise<void> {
  if (merged.length === 0) return;
  await postgres.query(RECORD_MERGED, [
    merged.map(({ person }) => person.teamId),
    merged.map(({ person }) => person.uuid),
    merged.map(({ into }) => into),
    merged.map(({ person }) => person.version),
    merged.map(({ person }) => person.createdAtMs),
  ]);
}
