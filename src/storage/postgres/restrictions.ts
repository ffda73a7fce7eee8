/** Restrictions of projects, as the command line makes and changes them. `teams.ts` reads them with their projects. */
import { RESTRICTIONS, type Restriction } from '../../event/restriction.ts';
import { truncateChars } from '../../event/scrub.ts';
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
const { distinctIdCharsMax } = LIMITS.capture;

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

/** Gives those that the project has still. One that makes no sense can be lifted as well. */
export async function unrestrict(
  postgres: Postgres,
  teamId: number,
  { restriction, distinctId }: WantedRestriction,
): Promise<readonly RestrictionRow[]> {
  await listRestrictions(postgres, teamId);
  const { rowCount } = await postgres.query(
    `DELETE FROM tributary_restriction
     WHERE team_id = $1 AND restriction = $2 AND distinct_id IS NOT DISTINCT FROM $3`,
    [teamId, restriction, distinctId ?? null],
  );
  if (rowCount === 0) {
    const whose = distinctId === undefined ? 'on all of its events' : `on ${JSON.stringify(distinctId)}`;
    throw new ProjectError(`project ${teamId} has no restriction ${restriction} ${whose}`);
  }
  return listRestrictions(postgres, teamId);
}

/** Whether an event can have it as its distinct id. */
const isOfEvents = (text: string): boolean =>
  text.trim() !== '' && !text.includes('\0') && truncateChars(text, distinctIdCharsMax) === text;

interface Checked {
  readonly restriction: Restriction;
  readonly distinctId: string | null;
}

function checked({ restriction, distinctId }: WantedRestriction): Checked {
  const known = RESTRICTIONS.find((one) => one === restriction);
  if (known === undefined) {
    throw new ProjectError(`there is no restriction ${restriction}: give one of ${RESTRICTIONS.join(', ')}`);
  }
  if (distinctId !== undefined && !isOfEvents(distinctId)) {
    throw new ProjectError(
      `a distinct id has 1 to ${distinctIdCharsMax} characters, not only spaces, none of them NUL`,
    );
  }
  return { restriction: known, distinctId: distinctId ?? null };
}
