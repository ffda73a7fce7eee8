/** Reads the settings from the environment and `.env`. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { ingestionOf, mixProblems, rolesOf } from './config-mix.ts';
import { type Ingestion, type Role, SETTINGS, type Setting } from './settings.ts';

type ValueOf<S> = S extends Setting<infer T> ? T : never;
export type Values = { readonly [Key in keyof typeof SETTINGS]: ValueOf<(typeof SETTINGS)[Key]> };

/** Every setting by its key in `SETTINGS`; `dataDir` is absolute. */
export type Config = Omit<Values, 'devProject' | 'roles' | 'clickHouseIngestion'> & {
  readonly devProject: boolean;
  readonly roles: readonly Role[];
  readonly clickHouseIngestion: Ingestion;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything that is wrong with the settings, one line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** The settings of this process: its environment, and `.env` for what that leaves unset. */
export function loadConfig(): Config {
  return readConfig({ ...readDotEnv('.env'), ...process.env });
}

/** Whether the environment or `.env` names this setting. */
export function isGiven(name: string): boolean {
  return Boolean({ ...readDotEnv('.env'), ...process.env }[name]);
}

function readDotEnv(path: string): Environment {
  try {
    return parseEnv(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
    throw new ConfigError([`.env cannot be read: ${error instanceof Error ? error.message : error}`]);
  }
}

/** Throws `ConfigError` with every problem at once. An empty value counts as unset. */
export function readConfig(environment: Environment): Config {
  const problems = unknownNames(environment);
  const read = (setting: Setting<unknown>): unknown => {
    const given = environment[setting.name]?.trim();
    if (!given) return setting.default;
    const value = setting.read(given);
    if (value !== undefined) return value;
    const shown = setting.secret ? 'a value that does not fit (not shown here)' : JSON.stringify(given);
    problems.push(`${setting.name} is ${shown}: it takes ${setting.takes}`);
    return setting.default;
  };

  const entries = Object.entries(SETTINGS).map(([key, setting]) => [key, read(setting)]);
  const values: Values = Object.fromEntries(entries);
  // What does not fit has its default here: whether it mixes well is asked when everything fits.
  if (problems.length === 0)
    problems.push(...mixProblems(values, (name) => Boolean(environment[name]?.trim())));
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    ...values,
    dataDir: resolve(values.dataDir),
    devProject: values.devProject ?? values.databaseUrl === undefined,
    roles: rolesOf(values),
    clickHouseIngestion: ingestionOf(values),
  };
}

function unknownNames(environment: Environment): string[] {
  const known = Object.values(SETTINGS)
    .map((setting) => setting.name)
    .filter((name) => name.startsWith('TRIBUTARY_'));
  return Object.keys(environment)
    .filter((name) => name.startsWith('TRIBUTARY_') && !known.includes(name))
    .map((name) => {
      // It may be a secret under a wrong name.
      const isSecret = /TOKEN|PASSWORD|SECRET|URL/i.test(name);
      const got = isSecret ? 'set (not shown here)' : JSON.stringify(environment[name]);
      return `${name} is ${got}, but there is no such setting: there are ${known.join(', ')}`;
    });
}
