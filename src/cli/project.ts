/** `npm run project`: the projects whose tokens are accepted. */

import { RESTRICTIONS } from '../event/restriction.ts';
import type { Postgres } from '../storage/postgres/pool.ts';
import { createProject, listProjects, type Project, setProject } from '../storage/postgres/projects.ts';
import {
  listRestrictions,
  type RestrictionRow,
  restrict,
  unrestrict,
} from '../storage/postgres/restrictions.ts';
import { runCommand, UsageError } from './command.ts';
import { withPostgres } from './postgres.ts';
import { keyTexts } from './values.ts';

const HELP = `Usage: npm run project -- list
       npm run project -- create NAME [--token T]
       npm run project -- set ID key=value …
       npm run project -- restrictions ID
       npm run project -- restrict ID RESTRICTION [--distinct-id X]
       npm run project -- unrestrict ID RESTRICTION [--distinct-id X]

Lists, makes and changes projects. A project's token is what SDKs send with their
events. A running system takes a change within 5 s.

  --token T          the token of the new project; without it, a random one
  --distinct-id X    restricts the events of this distinct id; without it, all of the project's
  --json             prints JSON lines on a terminal, too

Keys: name, anonymize_ips, person_processing_opt_out (true or false).

Restrictions:
  drop               the events are answered 200, counted, and kept nowhere
  no_person_profile  the events get rows without a person, as with $process_person_profile: false
  overflow           reserved, does nothing yet
`;

await runCommand({
  help: HELP,
  options: { token: { type: 'string' }, 'distinct-id': { type: 'string' } },
  async run({ values, positionals, config, output }) {
    const restricting = restrictingOf(positionals, values['distinct-id']);
    if (restricting) {
      if (values.token !== undefined) throw new UsageError('--token belongs to create');
      const restrictions = await withPostgres(config, restricting);
      output.rows(restrictions.map(restrictionShown), 'no restrictions');
      return;
    }
    const action = actionOf(positionals, values.token);
    const projects = await withPostgres(config, action);
    output.rows(projects.map(shown), 'no projects yet: npm run project -- create NAME');
  },
});

type Action = (postgres: Postgres) => Promise<readonly Project[]>;

function actionOf([verb, ...rest]: readonly string[], token: string | undefined): Action {
  if (token !== undefined && verb !== 'create') throw new UsageError('--token belongs to create');
  const [first, ...others] = rest;
  if (verb === 'list' && first === undefined) return listProjects;
  if (verb === 'create' && first !== undefined && others.length === 0) {
    return async (postgres) => [await createProject(postgres, { name: first, token })];
  }
  if (verb === 'set' && first !== undefined && others.length > 0) {
    const id = projectNumber(first);
    const changes = keyTexts('a change', others);
    return async (postgres) => [await setProject(postgres, id, changes)];
  }
  throw new UsageError(
    'give list, create NAME, set ID key=value …, or restrict ID RESTRICTION. --help shows more',
  );
}

type Restricting = (postgres: Postgres) => Promise<readonly RestrictionRow[]>;

/** `undefined`: it is about projects themselves. */
function restrictingOf(
  [verb, id, restriction, ...others]: readonly string[],
  distinctId: string | undefined,
): Restricting | undefined {
  if (verb === 'restrictions') {
    if (id === undefined || restriction !== undefined) throw new UsageError('give restrictions ID');
    if (distinctId !== undefined) throw new UsageError('--distinct-id belongs to restrict and unrestrict');
    const teamId = projectNumber(id);
    return (postgres) => listRestrictions(postgres, teamId);
  }
  if (verb !== 'restrict' && verb !== 'unrestrict') {
    if (distinctId !== undefined) throw new UsageError('--distinct-id belongs to restrict and unrestrict');
    return undefined;
  }
  if (id === undefined || restriction === undefined || others.length > 0) {
    throw new UsageError(`give ${verb} ID RESTRICTION: one of ${RESTRICTIONS.join(', ')}`);
  }
  const teamId = projectNumber(id);
  const change = verb === 'restrict' ? restrict : unrestrict;
  return (postgres) => change(postgres, teamId, { restriction, distinctId });
}

function projectNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`"${text}" is no project's number: npm run project -- list shows them`);
}

function restrictionShown({ restriction, distinct_id, created_at }: RestrictionRow) {
  const events = distinct_id === null ? 'all' : 'of the distinct id';
  return { restriction, events, distinct_id, created_at: created_at.toISOString() };
}

function shown({ id, name, api_token, created_at, ...settings }: Project) {
  return { id, name, token: api_token, ...settings, created_at: created_at.toISOString() };
}
