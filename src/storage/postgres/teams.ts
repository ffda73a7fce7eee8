/** Projects by token, from `posthog_team`, cached for a moment. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.ts';
import { asDistinctId, asTeamId, asToken, type DistinctId, type Token } from '../../event/ids.ts';
import { type Restriction, type Restrictions, UNRESTRICTED } from '../../event/restriction.ts';
import { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';
import type { Team, TeamStore } from '../team-store.ts';
import type { Postgres } from './pool.ts';

const { teamsMax, teamCacheMs, teamAskMs, restrictionsMax } = LIMITS.postgres;

interface Entry {
  readonly team: Team | undefined;
  /** By the monotonic clock. */
  readonly freshUntil: number;
}

interface TeamRow {
  readonly id: number;
  readonly api_token: string;
  readonly name: string;
  readonly anonymize_ips: boolean;
  readonly person_processing_opt_out: boolean | null;
  /** Those of the whole project first. */
  readonly restrictions: readonly RestrictionPair[] | null;
}

type RestrictionPair = readonly [Restriction, string | null];

const READ_TEAMS = `
  SELECT id, api_token, name, anonymize_ips, person_processing_opt_out, restrictions
  FROM posthog_team CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(restriction, distinct_id)) AS restrictions
    FROM (
      SELECT restriction, distinct_id FROM tributary_restriction WHERE team_id = posthog_team.id
      ORDER BY distinct_id NULLS FIRST, restriction LIMIT $2
    ) AS bounded
  ) AS restricted
  WHERE api_token = ANY($1)`;

async function readTeams(
  postgres: Postgres,
  tokens: readonly Token[],
  logger: Logger,
): Promise<Map<Token, Team>> {
  const { rows } = await postgres.query<TeamRow>(READ_TEAMS, [tokens, restrictionsMax + 1]);
  return new Map(
    rows.map((row) => {
      const token = asToken(row.api_token);
      const team: Team = {
        id: asTeamId(row.id),
        token,
        name: row.name,
        anonymizeIps: row.anonymize_ips,
        personProcessingOptOut: row.person_processing_opt_out ?? false,
        restrictions: restrictionsOf(row, logger),
      };
      return [token, team];
    }),
  );
}

function restrictionsOf({ id, restrictions }: TeamRow, logger: Logger): Restrictions {
  if (restrictions === null) return UNRESTRICTED;
  if (restrictions.length > restrictionsMax) {
    const text = 'a project has more restrictions than are looked at: the others have no effect';
    logger.warn({ teamId: id, restrictionsMax }, text);
  }
  const ofAll = new Set<Restriction>();
  const ofIds = new Map<DistinctId, Set<Restriction>>();
  for (const [restriction, text] of restrictions.slice(0, restrictionsMax)) {
    if (text === null) {
      ofAll.add(restriction);
      continue;
    }
    const distinctId = asDistinctId(text);
    const ofId = ofIds.get(distinctId) ?? new Set();
    ofIds.set(distinctId, ofId.add(restriction));
  }
  return { ofAll, ofIds };
}

interface Reading {
  readonly tokens: Token[];
  readonly answer: Promise<{ teams: ReadonlyMap<Token, Team>; sentAt: number }>;
}

/**
 * Asks once for all tokens that are wanted at a time, one query after the other, so that a flood of strange tokens
 * takes one connection. While Postgres does not answer, the last known answer stands; without one, `byToken` rejects.
 */
export function createTeamStore(postgres: Postgres, clock: Clock, logger: Logger): TeamStore {
  const entries = new LRUCache<Token, Entry>({ max: teamsMax });
  const asked = new Map<Token, Promise<Team | undefined>>();
  let previous: Promise<unknown> = Promise.resolve();
  let next: Reading | undefined;

  function remember(token: Token, team: Team | undefined, since: number): Team | undefined {
    entries.set(token, { team, freshUntil: since + teamCacheMs });
    return team;
  }

  /** Joins the query that starts when the one in progress has ended. */
  function read(token: Token): Reading['answer'] {
    if (next === undefined) {
      const tokens: Token[] = [];
      const answer = previous.then(async () => {
        next = undefined;
        const sentAt = clock.monotonic();
        return { teams: await readTeams(postgres, tokens, logger), sentAt };
      });
      previous = answer.catch(() => {});
      next = { tokens, answer };
    }
    if (next.tokens.length >= teamsMax) return Promise.reject(new Error('too many unknown tokens at once'));
    next.tokens.push(token);
    return next.answer;
  }

  function ask(token: Token): Promise<Team | undefined> {
    const shared = asked.get(token);
    if (shared !== undefined) return shared;
    const answer = read(token)
      .then(({ teams, sentAt }) => remember(token, teams.get(token), sentAt))
      .finally(() => asked.delete(token));
    asked.set(token, answer);
    return answer;
  }

  function fresh(token: Token): Entry | undefined {
    const entry = entries.get(token);
    return entry && clock.monotonic() < entry.freshUntil ? entry : undefined;
  }

  return {
    cached(token) {
      const entry = fresh(token);
      return entry ? entry.team : 'ask';
    },

    async byToken(token) {
      const entry = fresh(token);
      if (entry) return entry.team;
      // Postgres has no text with NUL, and would refuse the whole query.
      if (token.includes('\0')) return undefined;
      return new Promise((resolve, reject) => {
        const failed = (error: unknown): void => {
          const stale = entries.get(token);
          // That there was no such project says nothing of now.
          if (stale?.team) resolve(remember(token, stale.team, clock.monotonic()));
          else reject(error);
        };
        const cancel = clock.after(teamAskMs, () =>
          failed(new Error(`Postgres did not say within ${teamAskMs} ms which project this is`)),
        );
        ask(token).then(resolve, failed).finally(cancel);
      });
    },
  };
}
