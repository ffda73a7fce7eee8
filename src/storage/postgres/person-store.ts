/** Persons and the worker's progress in Postgres. */
import { asDistinctId, type PersonUuid } from '../../event/ids.ts';
import { DataRefusedError, type Found, type Mapping, type PersonStore } from '../person-store.ts';
import { acquire, saveProgress } from './partition-rows.ts';
import { PERSON_COLUMNS, type PersonRow, toPerson } from './person-row.ts';
import { classify, type Postgres } from './pool.ts';
import { savePersons } from './save.ts';

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

export function createPersonStore(postgres: Postgres): PersonStore {
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

    async findPersons(uuids: readonly PersonUuid[]) {
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
    },

    async save(partitions, works) {
      try {
        return await savePersons(postgres, partitions, works);
      } catch (error) {
        if (classify(error) !== 'data') throw error;
        throw new DataRefusedError(error instanceof Error ? error.message : String(error), { cause: error });
      }
    },

    saveProgress: (partitions) => saveProgress(postgres, partitions),
  };
}
