/** `npm run project`: the projects whose tokens are accepted. */
import type { Postgres } from '../storage/postgres/pool.ts';
import { createProject, listProjects, type Project, setProject } from '../storage/postgres/projects.ts';
import { runCommand, UsageError } from './command.ts';
import { withPostgres } from './postgres.ts';
import { keyTexts } from './values.ts';

const HELP = `Usage: npm run project -- list
       npm run project -- create NAME [--token T]
       npm run project -- set ID key=value …

Lists, makes and changes projects. A project's token is what SDKs send with their
events. A running system takes a change within 5 s.

  --token T    the token of the new project; without it, a random one
  --json       prints JSON lines on a terminal, too

Keys: name, anonymize_ips, person_processing_opt_out (true or false).
`;

await runCommand({
  help: HELP,
  options: { token: { type: 'string' } },
  async run({ values, positionals, config, output }) {
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
    if (!/^\d{1,9}$/.test(first)) {
      throw new UsageError(`"${first}" is no project's number: npm run project -- list shows them`);
    }
    const changes = keyTexts('a change', others);
    return async (postgres) => [await setProject(postgres, Number(first), changes)];
  }
  throw new UsageError(`give list, create NAME, or set ID key=value …. --help shows more`);
}

function shown({ id, name, api_token, created_at, ...settings }: Project) {
  return { id, name, token: api_token, ...settings, created_at: created_at.toISOString() };
}
