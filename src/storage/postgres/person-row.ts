/** A person as Postgres has it. */
import { asPersonUuid, asTeamId } from '../../event/ids.ts';
import type { JsonObject } from '../../event/json.ts';
import type { Person } from '../../person/person.ts';

export interface PersonRow {
  readonly team_id: number;
  readonly uuid: string;
  readonly created_ms: number;
  readonly properties: JsonObject;
  readonly is_identified: boolean;
  readonly version: number;
}

/** Columns of `PersonRow`; `p` is posthog_person. */
export const PERSON_COLUMNS = `
  p.team_id, p.uuid, round(extract(epoch from p.created_at) * 1000)::float8 AS created_ms,
  p.properties, p.is_identified, coalesce(p.version, 0) AS version`;

export function toPerson(row: PersonRow): Person {
  return {
    uuid: asPersonUuid(row.uuid),
    teamId: asTeamId(row.team_id),
    createdAtMs: row.created_ms,
    properties: row.properties,
    isIdentified: row.is_identified,
    version: row.version,
  };
}
