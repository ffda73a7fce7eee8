/** Projects, as the command line and the first start make and change them. */
import { randomInt } from 'node:crypto';
import { LIMITS } from '../../limits.ts';
import type { Postgres } from './pool.ts';

/** The message says what is wrong and what would do. */
export class ProjectError extends Error {
  override readonly name = 'ProjectError';
}

/** A row of `posthog_team`, under its names. */
export interface Project {
  readonly id: number;
  readonly name: string;
  readonly api_token: string;
  readonly anonymize_ips: boolean;
  readonly person_processing_opt_out: boolean;
  readonly created_at: Date;
}

export const DEV_PROJECT = { id: 1, name: 'Development', token: 'phc_tributary_dev' } as const;

const COLUMNS = `id, name, api_token, anonymize_ips,
  coalesce(person_processing_opt_out, false) AS person_processing_opt_out, created_at`;
const NAME_CHARS_MAX = 200;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function randomToken(): string {
  const chars = Array.from({ length: 43 }, () => BASE62.charAt(randomInt(BASE62.length)));
  return `phc_${chars.join('')}`;
}

function checkToken(token: string): string {
  const { tokenBytesMax } = LIMITS.capture;
  if (/^[\x21-\x7e]+$/.test(token) && token.length <= tokenBytesMax && !token.startsWith('phx_'))
    return token;
  throw new ProjectError(
    `token ${JSON.stringify(token)}: needed are 1 to ${tokenBytesMax} ASCII characters without spaces, not beginning with phx_`,
  );
}

function checkName(value: unknown): string {
  const fits = typeof value === 'string' && value.trim() !== '' && value.length <= NAME_CHARS_MAX;
  if (fits && !value.includes('\0')) return value;
  throw new ProjectError(
    `name ${JSON.stringify(value)}: needed are 1 to ${NAME_CHARS_MAX} characters, none NUL`,
  );
}

function checkBoolean(key: string, value: unknown): boolean {
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new ProjectError(`${key} ${JSON.stringify(value)}: needed is true or false`);
}

export async function listProjects(postgres: Postgres): Promise<readonly Project[]> {
  const { rows } = await postgres.query<Project>(`SELECT ${COLUMNS} FROM posthog_team ORDER BY id`);
  return rows;
}

/** Without a token it gets a random one. */
export async function createProject(
  postgres: Postgres,
  { name, token = randomToken() }: { name: string; token?: string | undefined },
): Promise<Project> {
  const { rows } = await postgres.query<Project>(
    `INSERT INTO posthog_team (id, project_id, name, api_token)
     SELECT id, id, $1, $2 FROM nextval(pg_get_serial_sequence('posthog_team', 'id')) AS id
     ON CONFLICT (api_token) DO NOTHING
     RETURNING ${COLUMNS}`,
    [checkName(name), checkToken(token)],
  );
  const [project] = rows;
  if (!project) throw new ProjectError(`token ${token} belongs to another project: choose another one`);
  return project;
}

type Column = 'name' | 'anonymize_ips' | 'person_processing_opt_out';
const CHECKS: Readonly<Record<Column, (value: unknown) => string | boolean>> = {
  name: checkName,
  anonymize_ips: (value) => checkBoolean('anonymize_ips', value),
  person_processing_opt_out: (value) => checkBoolean('person_processing_opt_out', value),
};

const isColumn = (key: string): key is Column => Object.hasOwn(CHECKS, key);

/** Booleans may be given as text, too. A running system takes the change within 5 s. */
export async function setProject(
  postgres: Postgres,
  id: number,
  changes: Readonly<Record<string, unknown>>,
): Promise<Project> {
  const checked: Partial<Record<Column, string | boolean>> = {};
  for (const [key, value] of Object.entries(changes)) {
    if (!isColumn(key)) {
      throw new ProjectError(`a project has no setting ${key}: it has ${Object.keys(CHECKS).join(', ')}`);
    }
    checked[key] = CHECKS[key](value);
  }
  const { rows } = await postgres.query<Project>(
    `UPDATE posthog_team SET
       name = coalesce($2, name),
       anonymize_ips = coalesce($3, anonymize_ips),
       person_processing_opt_out = coalesce($4, person_processing_opt_out),
       updated_at = now()
     WHERE id = $1
     RETURNING ${COLUMNS}`,
    [id, checked.name, checked.anonymize_ips, checked.person_processing_opt_out],
  );
  const [project] = rows;
  if (!project) throw new ProjectError(`there is no project ${id}`);
  return project;
}

/** Makes the project that a first start comes with, unless its token, or number 1, is taken. */
export async function ensureDevProject(postgres: Postgres): Promise<void> {
  const { id, name, token } = DEV_PROJECT;
  await postgres.transaction(async (transaction) => {
    const { rowCount } = await transaction.query(
      `INSERT INTO posthog_team (id, project_id, name, api_token) VALUES ($1::integer, $1::integer, $2, $3)
       ON CONFLICT DO NOTHING`,
      [id, name, token],
    );
    if (rowCount === 0) return;
    await transaction.query(
      "SELECT setval(pg_get_serial_sequence('posthog_team', 'id'), (SELECT max(id) FROM posthog_team))",
    );
  });
}
