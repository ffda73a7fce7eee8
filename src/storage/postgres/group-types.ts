/** Group types' places in their project: 0 to 4, in the order in which they were first seen, once and for all. */
import type { TeamId } from '../../event/ids.ts';
import type { GroupType, GroupTypeId } from '../person-store.ts';
import type { Queryable } from './pool.ts';

const TYPES_MAX = 5;

const PROJECTS = `
  SELECT asked.team_id, coalesce(t.project_id, asked.team_id) AS project_id
  FROM unnest($1::int[]) AS asked (team_id) LEFT JOIN posthog_team t ON t.id = asked.team_id`;

const READ_TYPES = `
  SELECT p.team_id, p.project_id, m.group_type, m.group_type_index FROM (${PROJECTS}) AS p
  LEFT JOIN posthog_grouptypemapping m ON coalesce(m.project_id, m.team_id) = p.project_id`;

/** Teams in order, so that two processes never wait for each other in a circle. */
const INSERT_TYPES = `
  INSERT INTO posthog_grouptypemapping (team_id, project_id, group_type, group_type_index)
  SELECT *
  FROM unnest($1::int[], $2::bigint[], $3::text[], $4::int[]) AS s (team_id, project_id, group_type, group_type_index)
  ORDER BY s.team_id
  ON CONFLICT DO NOTHING`;

interface TypeRow {
  readonly team_id: TeamId;
  readonly project_id: number;
  readonly group_type: string | null;
  readonly group_type_index: number;
}

/** Teams of one project share its types. */
interface Project {
  readonly id: number;
  /** By type. */
  readonly indexes: ReadonlyMap<string, number>;
}

interface NewType extends GroupTypeId {
  readonly projectId: number;
  readonly index: number;
}

/** The answer is in the order of `types`. */
export async function groupTypes(
  postgres: Queryable,
  types: readonly GroupTypeId[],
): Promise<readonly GroupType[]> {
  if (types.length === 0) return [];
  // Each time a project gains a type, ours or somebody else's.
  for (let time = 0; time <= TYPES_MAX; time++) {
    const projects = await readProjects(postgres, types);
    const missing = nextTypes(types, projects);
    if (missing.length === 0) {
      return types.map(({ teamId, type }): GroupType => {
        const index = projects.get(teamId)?.indexes.get(type);
        return { teamId, type, index: index !== undefined && index < TYPES_MAX ? index : undefined };
      });
    }
    await postgres.query(INSERT_TYPES, [
      missing.map(({ teamId }) => teamId),
      missing.map(({ projectId }) => projectId),
      missing.map(({ type }) => type),
      missing.map(({ index }) => index),
    ]);
  }
  throw new Error('posthog_grouptypemapping takes no new group type, although there are places left');
}

async function readProjects(
  postgres: Queryable,
  types: readonly GroupTypeId[],
): Promise<ReadonlyMap<TeamId, Project>> {
  const teams = [...new Set(types.map(({ teamId }) => teamId))];
  const { rows } = await postgres.query<TypeRow>(READ_TYPES, [teams]);
  const projects = new Map<TeamId, { id: number; indexes: Map<string, number> }>();
  for (const { team_id, project_id, group_type, group_type_index } of rows) {
    const project = projects.get(team_id) ?? { id: project_id, indexes: new Map() };
    if (group_type !== null) project.indexes.set(group_type, group_type_index);
    projects.set(team_id, project);
  }
  return projects;
}

/** Of each project that has a place left, the first type that has none: types keep their order. */
function nextTypes(
  types: readonly GroupTypeId[],
  projects: ReadonlyMap<TeamId, Project>,
): readonly NewType[] {
  const next = new Map<number, NewType>();
  for (const { teamId, type } of types) {
    const project = projects.get(teamId);
    if (project === undefined || next.has(project.id) || project.indexes.has(type)) continue;
    const taken = new Set(project.indexes.values());
    const index = [0, 1, 2, 3, 4].find((place) => !taken.has(place));
    if (index !== undefined) next.set(project.id, { teamId, type, projectId: project.id, index });
  }
  return [...next.values()];
}
