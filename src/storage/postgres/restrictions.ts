/** Restrictions of projects, as the command line makes and changes them. `teams.ts` reads them with their projects. */
import { RESTRICTIONS, type Restriction } from '../../event/restriction.ts';
import { LIMITS } from '../../limits.ts';
import type { Postgres } from './pool.ts';
import { ProjectError } from './projects.ts';

/** A row of `tributary_restriction`. Without a distinct id it is on every event of the project. */
export interface RestrictionRow {
  readonly restriction: Restriction;
  readonly distinct_id: string | null;
  readonly created_at: Date;
}

export interface WantedRestriction {
  readonly restriction: string;
  readonly distinctId: string | undefined;
}

const { restrictionsMax } = LIMITS.postgres;

export async function listRestrictions(
  postgres: Postgres,
  teamId: number,
): Promise<readonly RestrictionRow[]> {
  const { rows: teams } = await postgres.query('SELECT FROM posthog_team WHERE id = $1', [teamId]);
  if (teams.length === 0) throw new ProjectError(`there is no project ${teamId}`);
  const { rows } = await postgres.query<RestrictionRow>(
    `SELECT restriction, distinct_id, created_at FROM tributary_restriction WHERE team_id = $1
     ORDER BY distinct_id NULLS FIRST, restriction`,
    [teamId],
  );
  return rows;
}

/** Gives all of the project's. One that is there already stays. */
export async function restrict(
  postgres: Postgres,
  teamId: number,
  wanted: WantedRestriction,
): Promise<readonly RestrictionRow[]> {
  const { restriction, distinctId } = checked(wanted);
  const there = await listRestrictions(postgres, teamId);
  if (there.length >= restrictionsMax) {
    throw new ProjectError(
      `project ${teamId} has ${there.length} restrictions, and may have ${restrictionsMax}: lift some, or restrict the whole project`,
    );
  }
  await postgres.query(
    `INSERT INTO tributary_restriction (team_id, restriction, distinct_id) VALUES ($1, $2, $3)
     ON CONFLICT DO NOTHING`,
    [teamId, restriction, distinctId],
  );
  return listRestrictions(postgres, teamId);
}

/** Gives those that the project has still. */
export async function unrestrict(
  postgres: Postgres,
  teamId: number,
  wanted: WantedRestriction,
): Promise<readonly RestrictionRow[]> {
  const { restriction, distinctId } = checked(wanted);
  await listRestrictions(postgres, teamId);
  const { rowCount } = await postgres.query(
    `DELETE FROM tributary_restriction
     WHERE team_id = $1 AND restriction = $2 AND distinct_id IS NOT DISTINCT FROM $3`,
    [teamId, restriction, distinctId],
  );
  if (rowCount === 0) {
    const whose = distinctId === null ? 'on all of its events' : `on ${JSON.stringify(distinctId)}`;
    throw new ProjectError(`project ${teamId} has no restriction ${restriction} ${whose}`);
  }
  return listRestrictions(postgres, teamId);
}

interface Checked {
  readonly restriction: Restriction;
  readonly distinctId: string | null;
}

function checked({ restriction, distinctId }: WantedRestriction): Checked {
  const known = RESTRICTIONS.find((one) => one === restriction);
  if (known === undefined) {
    throw new ProjectError(`there is no restriction ${restriction}: give one of ${RESTRICTIONS.join(', ')}`);
  }
  const { distinctIdCharsMax } = LIMITS.capture;
  if (distinctId === '' || distinctId?.includes('\0') || (distinctId?.length ?? 0) > distinctIdCharsMax) {
    throw new ProjectError(`a distinct id has 1 to ${distinctIdCharsMax} characters, none of them NUL`);
  }
  return { restriction: known, distinctId: distinctId ?? null };
}
