/** Whether what a save's works stand on is so: locks their persons, looks where their ids lead, folds again. */
import type { PersonUuid } from '../../event/ids.ts';
import type { Folded } from '../../person/fold.ts';
import type { Person } from '../../person/person.ts';
import type { PersonWork } from '../person-store.ts';
import { PERSON_COLUMNS, type PersonRow, toPerson } from './person-row.ts';
import type { Queryable } from './pool.ts';

/** In id order, so that two saves never wait for each other in a circle. */
const LOCK_PERSONS = `
  SELECT p.id, p.uuid, coalesce(p.version, 0) AS version FROM posthog_person p
  JOIN unnest($1::int[], $2::uuid[]) AS asked (team_id, uuid) ON p.team_id = asked.team_id AND p.uuid = asked.uuid
  ORDER BY p.id FOR UPDATE OF p`;

const READ_PERSONS = `SELECT ${PERSON_COLUMNS} FROM posthog_person p WHERE p.id = ANY($1::bigint[])`;

const READ_MAPPINGS = `
  SELECT asked.place, d.person_id FROM unnest($1::int[], $2::int[], $3::text[]) AS asked (place, team_id, distinct_id)
  JOIN posthog_persondistinctid d ON d.team_id = asked.team_id AND d.distinct_id = asked.distinct_id`;

/** Counts no further than it has to. */
const COUNT_IDS = `
  SELECT p.id, (SELECT count(*) FROM (
    SELECT FROM posthog_persondistinctid d WHERE d.person_id = p.id LIMIT $2::bigint + 1) AS own) AS ids
  FROM unnest($1::bigint[]) AS p (id)`;

/** A work whose beliefs held, and its fold on the rows as they are. */
export interface Confirmed {
  readonly work: PersonWork;
  readonly folded: Folded;
}

/** `posthog_person.id` of persons that are there. */
export type RowIds = ReadonlyMap<PersonUuid, number>;

interface Locked {
  readonly id: number;
  readonly version: number;
}

/** How many distinct ids lead to persons that may be merged away; counted no further than one merge goes. */
export type IdCounts = ReadonlyMap<PersonUuid, number>;

type LockedPersons = ReadonlyMap<PersonUuid, Locked>;

/** Everybody whom the fold stood on, or should have (an id may be read after its person), wrote or merged away; each once. */
export function personsOf({ believed }: PersonWork, folded: Folded): readonly PersonUuid[] {
  const uuids = new Set(believed.persons.keys());
  for (const uuid of believed.ids.values()) if (uuid !== undefined) uuids.add(uuid);
  for (const { uuid } of folded.written) uuids.add(uuid);
  for (const { person } of folded.merged) uuids.add(person.uuid);
  return [...uuids];
}

/** A work, and whom it concerns. */
interface Concern {
  readonly work: PersonWork;
  readonly persons: readonly PersonUuid[];
}

export interface Checked {
  /** The works whose beliefs hold, their persons locked. */
  readonly confirmed: readonly Confirmed[];
  readonly rowIds: RowIds;
  readonly idCounts: IdCounts;
}

/** `mergeIdsMax`: distinct ids that one merge moves. */
export async function confirmWorks(
  postgres: Queryable,
  works: readonly PersonWork[],
  mergeIdsMax: number,
): Promise<Checked> {
  if (works.length === 0) return { confirmed: [], rowIds: new Map(), idCounts: new Map() };
  const concerns = works.map((work): Concern => ({ work, persons: personsOf(work, work.folded) }));
  const locked = await lockPersons(postgres, concerns);
  const broken = await findBroken(postgres, works, locked);
  const held = broken.size === 0 ? concerns : concerns.filter(({ work }) => !broken.has(work));
  const real = await readMoved(postgres, held, locked);
  const confirmed = held.map(({ work, persons }): Confirmed => {
    const isMoved = real.size > 0 && persons.some((uuid) => real.has(uuid));
    return { work, folded: isMoved ? work.refold(realPersons(work, real), NONE) : work.folded };
  });
  const rowIds = new Map<PersonUuid, number>();
  for (const [uuid, { id }] of locked) rowIds.set(uuid, id);
  return { ...(await refuseOverfull(postgres, confirmed, real, locked, mergeIdsMax)), rowIds };
}

const NONE: ReadonlySet<PersonUuid> = new Set();

async function lockPersons(postgres: Queryable, concerns: readonly Concern[]): Promise<LockedPersons> {
  const teamIds: number[] = [];
  const uuids: PersonUuid[] = [];
  for (const { work, persons } of concerns) {
    for (const uuid of persons) {
      teamIds.push(work.teamId);
      uuids.push(uuid);
    }
  }
  const { rows } = await postgres.query<Locked & { uuid: PersonUuid }>(LOCK_PERSONS, [teamIds, uuids]);
  const locked = new Map<PersonUuid, Locked>();
  for (const row of rows) locked.set(row.uuid, row);
  return locked;
}

/** Works of which a person is gone, or an id leads elsewhere than believed. */
async function findBroken(
  postgres: Queryable,
  works: readonly PersonWork[],
  locked: LockedPersons,
): Promise<ReadonlySet<PersonWork>> {
  const beliefs: { readonly work: PersonWork; readonly uuid: PersonUuid | undefined }[] = [];
  const places: number[] = [];
  const teamIds: number[] = [];
  const distinctIds: string[] = [];
  const broken = new Set<PersonWork>();
  for (const work of works) {
    for (const uuid of work.believed.persons.keys()) if (!locked.has(uuid)) broken.add(work);
    for (const [distinctId, uuid] of work.believed.ids) {
      places.push(beliefs.length);
      beliefs.push({ work, uuid });
      teamIds.push(work.teamId);
      distinctIds.push(distinctId);
    }
  }
  const { rows } = await postgres.query<{ place: number; person_id: number }>(READ_MAPPINGS, [
    places,
    teamIds,
    distinctIds,
  ]);
  const leadsTo = new Map<number, number>();
  for (const { place, person_id } of rows) leadsTo.set(place, person_id);
  beliefs.forEach(({ work, uuid }, place) => {
    const believed = uuid === undefined ? undefined : locked.get(uuid)?.id;
    if (leadsTo.get(place) !== believed) broken.add(work);
  });
  return broken;
}

/** The persons that are not as believed: of another version, or there although nobody was believed to be. */
async function readMoved(
  postgres: Queryable,
  concerns: readonly Concern[],
  locked: LockedPersons,
): Promise<ReadonlyMap<PersonUuid, Person>> {
  const moved: number[] = [];
  for (const { work, persons } of concerns) {
    for (const uuid of persons) {
      const row = locked.get(uuid);
      if (row && row.version !== work.believed.persons.get(uuid)?.version) moved.push(row.id);
    }
  }
  if (moved.length === 0) return NOBODY;
  const { rows } = await postgres.query<PersonRow>(READ_PERSONS, [moved]);
  return new Map(rows.map(toPerson).map((person) => [person.uuid, person]));
}

const NOBODY: ReadonlyMap<PersonUuid, Person> = new Map();

function realPersons(
  work: PersonWork,
  real: ReadonlyMap<PersonUuid, Person>,
): ReadonlyMap<PersonUuid, Person> {
  const persons = new Map(work.believed.persons);
  for (const uuid of personsOf(work, work.folded)) {
    const person = real.get(uuid);
    if (person) persons.set(uuid, person);
  }
  return persons;
}

/** Folds again without the merges that would move too many ids. */
async function refuseOverfull(
  postgres: Queryable,
  confirmed: readonly Confirmed[],
  real: ReadonlyMap<PersonUuid, Person>,
  locked: LockedPersons,
  mergeIdsMax: number,
): Promise<Omit<Checked, 'rowIds'>> {
  const merging = confirmed.filter(({ folded }) => folded.merged.length > 0);
  const sources = merging.flatMap(({ folded }) => folded.merged.map(({ person }) => person.uuid));
  const ofSources = await countIds(postgres, sources, locked, mergeIdsMax);
  const isOverfull = (count: number | undefined) => count !== undefined && count > mergeIdsMax;
  if (![...ofSources.values()].some(isOverfull)) return { confirmed, idCounts: ofSources };
  // All persons: without one merge, another may go the other way.
  const persons = merging.flatMap(({ work, folded }) => personsOf(work, folded));
  const idCounts = await countIds(postgres, persons, locked, mergeIdsMax);
  const overfull = new Set(persons.filter((uuid) => isOverfull(idCounts.get(uuid))));
  const refused = confirmed.map(({ work, folded }) => {
    const isRefused = folded.merged.some(({ person }) => overfull.has(person.uuid));
    return { work, folded: isRefused ? work.refold(realPersons(work, real), overfull) : folded };
  });
  return { confirmed: refused, idCounts };
}

async function countIds(
  postgres: Queryable,
  persons: readonly PersonUuid[],
  locked: LockedPersons,
  mergeIdsMax: number,
): Promise<IdCounts> {
  const uuids = new Map<number, PersonUuid>();
  for (const uuid of persons) {
    const row = locked.get(uuid);
    if (row) uuids.set(row.id, uuid);
  }
  const counts = new Map<PersonUuid, number>();
  if (uuids.size === 0) return counts;
  const asked = [[...uuids.keys()], mergeIdsMax];
  const { rows } = await postgres.query<{ id: number; ids: number }>(COUNT_IDS, asked);
  for (const { id, ids } of rows) {
    const uuid = uuids.get(id);
    if (uuid !== undefined) counts.set(uuid, ids);
  }
  return counts;
}
