/** Persons, groups and the worker's progress in Postgres. */
import { asDistinctId, asPersonUuid, asTeamId, type PersonUuid } from '../../event/ids.ts';
import { LIMITS } from '../../limits.ts';
import {
  DataRefusedError,
  type DeletedPerson,
  type Found,
  type Mapping,
  type PersonStore,
  type PersonWithIds,
} from '../person-store.ts';
import { findGroups } from './group-rows.ts';
import { groupTypes } from './group-types.ts';
import { acquire, saveProgress } from './partition-rows.ts';
import { referenceFinder } from './person-references.ts';
import { PERSON_COLUMNS, type PersonRow, toPerson } from './person-row.ts';
import { classify, isConflict, type Postgres } from './pool.ts';
import { type SaveOptions, saveWorks } from './save.ts';

const { postgres: limits } = LIMITS;

const FIND_BY_IDS = `
  SELECT d.distinct_id, ${PERSON_COLUMNS}
  FROM unnest($1::int[], $2::text[]) AS asked (team_id, distinct_id)
  JOIN posthog_persondistinctid d ON d.team_id = asked.team_id AND d.distinct_id = asked.distinct_id
  JOIN posthog_person p ON p.id = d.person_id`;

const FIND_PERSONS = `
  SELECT ${PERSON_COLUMNS},
    array(SELECT d.distinct_id::text FROM posthog_persondistinctid d WHERE d.person_id = p.id ORDER BY d.id) AS ids,
    array(SELECT coalesce(d.version, 0) FROM posthog_persondistinctid d WHERE d.person_id = p.id ORDER BY d.id) AS versions
  FROM posthog_person p WHERE p.uuid = ANY($1::uuid[])`;

const FIND_DELETED = `
  SELECT m.team_id, m.uuid, round(extract(epoch from m.created_at) * 1000)::float8 AS created_ms, m.version
  FROM tributary_merged m WHERE m.uuid = ANY($1::uuid[])`;

export function createPersonStore(postgres: Postgres, options: Partial<SaveOptions> = {}): PersonStore {
  const saveOptions: SaveOptions = { witness: false, mergeIdsMax: LIMITS.worker.mergeIdsMax, ...options };
  const findReferences = referenceFinder();
  return {
    acquire: (key, firstOffset) => acquire(postgres, key, firstOffset),

    async findByIds(ids) {
      const { rows } = await postgres.query<PersonRow & { distinct_id: string }>(FIND_BY_IDS, [
        ids.map(({ teamId }) => teamId),
        ids.map(({ distinctId }) => distinctId),
      ]);
      return rows.map((row): Found => {
        const person = toPerson(row);
        return { teamId: person.teamId, distinctId: asDistinctId(row.distinct_id), person };
      });
    },

    async findRecorded(persons, groups) {
      // In this order: one who is merged away in between is in both, and never in neither.
      const there = persons.length > 0 ? await findPersons(postgres, persons) : [];
      const deleted = persons.length > 0 ? await findDeleted(postgres, persons) : [];
      return { persons: there, deleted, groups: await findGroups(postgres, groups) };
    },

    groupTypes: (types) => groupTypes(postgres, types),
    findGroups: (groups) => findGroups(postgres, groups),

    async save(partitions, works) {
      for (let tries = 1; ; tries++) {
        try {
          return await saveWorks(postgres, findReferences, partitions, works, saveOptions);
        } catch (error) {
          // The next one sees what was in its way, and leaves out what stands on something else.
          if (isConflict(error) && tries < limits.saveTriesMax) continue;
          if (classify(error) !== 'data') throw error;
          throw new DataRefusedError(error instanceof Error ? error.message : String(error), {
            cause: error,
          });
        }
      }
    },

    saveProgress: (partitions) => saveProgress(postgres, partitions),
  };
}

async function findPersons(postgres: Postgres, uuids: readonly PersonUuid[]): Promise<PersonWithIds[]> {
  const { rows } = await postgres.query<PersonRow & { ids: string[]; versions: number[] }>(FIND_PERSONS, [
    uuids,
  ]);
  return rows.map((row) => ({
    person: toPerson(row),
    ids: row.ids.map(
      (id, index): Mapping => ({
        distinctId: asDistinctId(id),
        version: Number(row.versions[index] ?? 0),
      }),
    ),
  }));
}

async function findDeleted(postgres: Postgres, uuids: readonly PersonUuid[]): Promise<DeletedPerson[]> {
  const { rows } = await postgres.query<Pick<PersonRow, 'team_id' | 'uuid' | 'created_ms' | 'version'>>(
    FIND_DELETED,
    [uuids],
  );
  return rows.map(({ team_id, uuid, created_ms, version }) => ({
    uuid: asPersonUuid(uuid),
    teamId: asTeamId(team_id),
    createdAtMs: created_ms,
    version,
  }));
}
