/** A group as Postgres has it. */
import { asTeamId } from '../../event/ids.ts';
import type { JsonObject } from '../../event/json.ts';
import type { Group, GroupId } from '../../person/group.ts';
import type { Queryable } from './pool.ts';

export interface GroupRow {
  readonly team_id: number;
  readonly group_type_index: number;
  readonly group_key: string;
  readonly group_properties: JsonObject;
  readonly created_ms: number;
  readonly version: number;
}

/** Columns of `GroupRow`; `g` is posthog_group. */
export const GROUP_COLUMNS = `
  g.team_id, g.group_type_index, g.group_key, g.group_properties,
  round(extract(epoch from g.created_at) * 1000)::float8 AS created_ms, g.version`;

const FIND_GROUPS = `
  SELECT ${GROUP_COLUMNS} FROM posthog_group g
  JOIN (SELECT DISTINCT * FROM unnest($1::int[], $2::int[], $3::text[])) AS asked (team_id, type_index, key)
    ON g.team_id = asked.team_id AND g.group_type_index = asked.type_index AND g.group_key = asked.key`;

export function toGroup(row: GroupRow): Group {
  return {
    teamId: asTeamId(row.team_id),
    typeIndex: row.group_type_index,
    key: row.group_key,
    properties: row.group_properties,
    createdAtMs: row.created_ms,
    version: row.version,
  };
}

/** Values of `team_id`, `group_type_index` and `group_key`. */
export const groupColumns = (groups: readonly GroupId[]) => [
  groups.map(({ teamId }) => teamId),
  groups.map(({ typeIndex }) => typeIndex),
  groups.map(({ key }) => key),
];

/** The groups that are there, each once. */
export async function findGroups(postgres: Queryable, groups: readonly GroupId[]): Promise<readonly Group[]> {
  if (groups.length === 0) return [];
  const { rows } = await postgres.query<GroupRow>(FIND_GROUPS, groupColumns(groups));
  return rows.map(toGroup);
}
