/**
 * One save: locks the partitions and persons, checks what the dispatcher believed, folds again where only the version
 * has moved, writes, and records which offsets were folded. What was believed wrongly is left out.
 */
import type { Folded } from '../../person/fold.ts';
import type { Person } from '../../person/person.ts';
import { toRanges } from '../offset-ranges.ts';
import type { PartitionSave, PersonWork, Saved } from '../person-store.ts';
import { recordFolded, writeProgress } from './partition-rows.ts';
import { PERSON_COLUMNS, type PersonRow, toPerson } from './person-row.ts';
import type { Postgres, Queryable } from './pool.ts';

/** In id order, so that two saves never wait for each other in a circle. */
const LOCK_PERSONS = `
  SELECT p.id, p.uuid, coalesce(p.version, 0) AS version FROM posthog_person p
  JOIN unnest($1::int[], $2::uuid[]) AS asked (team_id, uuid) ON p.team_id = asked.team_id AND p.uuid = asked.uuid
  ORDER BY p.id FOR UPDATE OF p`;

const READ_PERSONS = `SELECT ${PERSON_COLUMNS} FROM posthog_person p WHERE p.id = ANY($1::bigint[])`;

const READ_MAPPINGS = `
  SELECT asked.work, d.person_id FROM unnest($1::int[], $2::int[], $3::text[]) AS asked (work, team_id, distinct_id)
  JOIN posthog_persondistinctid d ON d.team_id = asked.team_id AND d.distinct_id = asked.distinct_id`;

const INSERT_PERSONS = `
  INSERT INTO posthog_person (team_id, uuid, created_at, properties, properties_last_updated_at,
    properties_last_operation, is_identified, version)
  SELECT team_id, uuid, to_timestamp(created_ms / 1000.0), properties, '{}', '{}', is_identified, version
  FROM unnest($1::int[], $2::uuid[], $3::float8[], $4::jsonb[], $5::bool[], $6::bigint[])
    AS s (team_id, uuid, created_ms, properties, is_identified, version)
  RETURNING id, uuid`;

const UPDATE_PERSONS = `
  UPDATE posthog_person AS p SET properties = s.properties, is_identified = s.is_identified, version = s.version
  FROM unnest($1::bigint[], $2::jsonb[], $3::bool[], $4::bigint[]) AS s (id, properties, is_identified, version)
  WHERE p.id = s.id`;

const INSERT_MAPPINGS = `
  INSERT INTO posthog_persondistinctid (team_id, person_id, distinct_id, version)
  SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::bigint[])
  ON CONFLICT (team_id, distinct_id) DO NOTHING`;

interface Locked {
  readonly id: number;
  readonly version: number;
}

/** A work whose beliefs held, with the person's row if there is one. */
interface Confirmed {
  readonly work: PersonWork;
  readonly folded: Folded;
  readonly rowId: number | undefined;
}

export function savePersons(
  postgres: Postgres,
  partitions: readonly PartitionSave[],
  works: readonly PersonWork[],
): Promise<readonly Saved[]> {
  return postgres.transaction(async (transaction) => {
    await writeProgress(transaction, partitions);
    const checked = works.filter((work) => work.checked);
    const locked = await lockPersons(transaction, checked);
    const broken = await brokenBeliefs(transaction, checked, locked);
    const confirmed = await confirm(
      transaction,
      checked.filter((work) => !broken.has(work)),
      locked,
    );
    await write(transaction, confirmed);
    await record(transaction, partitions, works, broken);

    const folded = new Map(confirmed.map((one) => [one.work, one.folded]));
    return works.map((work): Saved => {
      if (broken.has(work)) return { kind: 'broken' };
      return { kind: 'saved', folded: folded.get(work) ?? work.folded };
    });
  });
}

async function lockPersons(postgres: Queryable, works: readonly PersonWork[]): Promise<Map<string, Locked>> {
  const { rows } = await postgres.query<Locked & { uuid: string }>(LOCK_PERSONS, [
    works.map(({ teamId }) => teamId),
    works.map(({ uuid }) => uuid),
  ]);
  return new Map(rows.map(({ uuid, id, version }) => [uuid, { id, version }]));
}

/** Works whose person is gone, or whose ids lead elsewhere than believed. */
async function brokenBeliefs(
  postgres: Queryable,
  works: readonly PersonWork[],
  locked: ReadonlyMap<string, Locked>,
): Promise<Set<PersonWork>> {
  const ids = works.flatMap((work, index) => [
    ...work.knownIds.map((distinctId) => ({ index, work, distinctId, known: true })),
    ...work.newIds.map(({ distinctId }) => ({ index, work, distinctId, known: false })),
  ]);
  const asked = async (known: boolean) => {
    const some = ids.filter((id) => id.known === known);
    if (some.length === 0) return [];
    const { rows } = await postgres.query<{ work: number; person_id: number }>(READ_MAPPINGS, [
      some.map(({ index }) => index),
      some.map(({ work }) => work.teamId),
      some.map(({ distinctId }) => distinctId),
    ]);
    return rows;
  };
  const broken = new Set<PersonWork>();
  // An id believed unknown that leads to somebody.
  for (const { work: index } of await asked(false)) {
    const work = works[index];
    if (work) broken.add(work);
  }
  // Ids believed to lead to the person: as many have to.
  const leading = new Array<number>(works.length).fill(0);
  for (const { work: index, person_id } of await asked(true)) {
    const work = works[index];
    if (work && locked.get(work.uuid)?.id === person_id) leading[index] = (leading[index] ?? 0) + 1;
  }
  works.forEach((work, index) => {
    if (leading[index] !== work.knownIds.length) broken.add(work);
    if (work.base && !locked.has(work.uuid)) broken.add(work);
  });
  return broken;
}

/** Folds again, on the row as it is, where the version is not the one that the fold began with. */
async function confirm(
  postgres: Queryable,
  works: readonly PersonWork[],
  locked: ReadonlyMap<string, Locked>,
): Promise<Confirmed[]> {
  const moved = works.flatMap((work) => {
    const row = locked.get(work.uuid);
    return row && row.version !== work.base?.version ? [row.id] : [];
  });
  const real = new Map<string, Person>();
  if (moved.length > 0) {
    const { rows } = await postgres.query<PersonRow>(READ_PERSONS, [moved]);
    for (const row of rows) real.set(row.uuid, toPerson(row));
  }
  return works.map((work) => {
    const person = real.get(work.uuid);
    return {
      work,
      folded: person ? work.refold(person) : work.folded,
      rowId: locked.get(work.uuid)?.id,
    };
  });
}

async function write(postgres: Queryable, confirmed: readonly Confirmed[]): Promise<void> {
  const rowIds = new Map<PersonWork, number>();
  const created: { work: PersonWork; person: Person }[] = [];
  const updated: { id: number; person: Person }[] = [];
  for (const { work, folded, rowId } of confirmed) {
    if (rowId !== undefined) rowIds.set(work, rowId);
    if (!folded.changed || folded.person === undefined) continue;
    if (rowId === undefined) created.push({ work, person: folded.person });
    else updated.push({ id: rowId, person: folded.person });
  }
  if (created.length > 0) {
    const { rows } = await postgres.query<{ id: number; uuid: string }>(INSERT_PERSONS, [
      created.map(({ person }) => person.teamId),
      created.map(({ person }) => person.uuid),
      created.map(({ person }) => person.createdAtMs),
      created.map(({ person }) => JSON.stringify(person.properties)),
      created.map(({ person }) => person.isIdentified),
      created.map(({ person }) => person.version),
    ]);
    const ids = new Map(rows.map(({ id, uuid }) => [uuid, id]));
    for (const { work } of created) rowIds.set(work, ids.get(work.uuid) ?? 0);
  }
  if (updated.length > 0) {
    await postgres.query(UPDATE_PERSONS, [
      updated.map(({ id }) => id),
      updated.map(({ person }) => JSON.stringify(person.properties)),
      updated.map(({ person }) => person.isIdentified),
      updated.map(({ person }) => person.version),
    ]);
  }
  await writeMappings(postgres, confirmed, rowIds);
}

async function writeMappings(
  postgres: Queryable,
  confirmed: readonly Confirmed[],
  rowIds: ReadonlyMap<PersonWork, number>,
): Promise<void> {
  const mappings = confirmed.flatMap(({ work }) =>
    work.newIds.map((mapping) => ({ ...mapping, teamId: work.teamId, rowId: rowIds.get(work) })),
  );
  if (mappings.length === 0) return;
  const { rowCount } = await postgres.query(INSERT_MAPPINGS, [
    mappings.map(({ teamId }) => teamId),
    mappings.map(({ rowId }) => rowId),
    mappings.map(({ distinctId }) => distinctId),
    mappings.map(({ version }) => version),
  ]);
  // Somebody took one of the ids since it was checked: nothing of this save may stay.
  if (rowCount !== mappings.length) throw new Error('a distinct id was taken while the save was under way');
}

/** Every offset of the save, with every person that it wrote. */
async function record(
  postgres: Queryable,
  partitions: readonly PartitionSave[],
  works: readonly PersonWork[],
  broken: ReadonlySet<PersonWork>,
): Promise<void> {
  const offsets = new Map<number, number[]>(partitions.map(({ key }) => [key.partition, []]));
  const persons: string[] = [];
  for (const work of works) {
    if (broken.has(work)) continue;
    if (work.checked) persons.push(work.uuid);
    for (const { partition, offset } of work.offsets) offsets.get(partition)?.push(offset);
  }
  for (const { key } of partitions) {
    const rising = (offsets.get(key.partition) ?? []).sort((a, b) => a - b);
    await recordFolded(postgres, key, toRanges(rising), persons);
  }
}
