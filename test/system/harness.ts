/** The real system as a child process, started as `npm start` does, and ways to look at it from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import type { Books } from '../../src/books.ts';
import { SETTINGS } from '../../src/settings.ts';
import { readRunning } from '../../src/storage/embedded/data-dir.ts';
import { stopOrphanedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { STORE_FOLDERS } from '../../src/stores.ts';
import { keepLog } from '../../tools/suite-logs.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const TOKEN = 'phc_tributary_dev';

/** For a machine that is busy with other things. */
const READY_TIMEOUT_MS = 120_000;
const SETTLE_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 30_000;
const UNTIL_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

type Environment = Readonly<Record<string, string>>;
export type Row = Readonly<Record<string, unknown>>;

export interface LogLine {
  /** 30 info, 40 warning, 50 error. */
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Exit {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** From the start of the process, or from the signal that ended it. */
  readonly elapsedMs: number;
}

export interface TestSystem {
  readonly pid: number;
  readonly dataDir: string;
  readonly captureUrl: string;
  readonly consoleUrl: string;
  /** From the start of the process. */
  readonly readyMs: number;
  /** What it has logged so far. */
  readonly log: readonly LogLine[];
  post(path: string, body: string | Uint8Array, headers?: Environment): Promise<Answer>;
  /** Posts events as one batch; rejects unless they were taken. */
  send(events: readonly object[]): Promise<void>;
  /** One read-only statement on ClickHouse. */
  sql(statement: string): Promise<Row[]>;
  postgres(statement: string): Promise<Row[]>;
  ledger(): Promise<Books>;
  /** Status of `/_health`. */
  health(): Promise<number>;
  /**
   * Waits until nothing waits or is in flight and ClickHouse shows all that the books and Postgres say. Rejects when
   * they do not balance. No uuid may have been sent twice with ten minutes or a restart in between.
   */
  settled(): Promise<Books>;
  /** Resolves when the process has ended. */
  end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<Exit>;
}

const FOLDER = /^tributary-system-(\d+)-/;

/** A path for a data folder; when `t` ends, the folder is removed with every process that still uses it. */
export async function dataFolder(t: Test): Promise<string> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(FOLDER.exec(name)?.[1]);
    if (pid && isGone(pid)) await clear(join(tmpdir(), name));
  }
  const parent = await mkdtemp(join(tmpdir(), `tributary-system-${process.pid}-`));
  t.teardown(() => clear(parent));
  return join(parent, 'data');
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

async function clear(parent: string): Promise<void> {
  const dataDir = join(parent, 'data');
  const running = await readRunning(dataDir);
  if (running) process.kill(running.pid, 'SIGKILL');
  await stopOrphanedPostgres(join(dataDir, STORE_FOLDERS.postgres)).catch(() => {});
  await rm(parent, { recursive: true, force: true });
}

/**
 * The environment of this process without settings: a developer's own, or a `.env`, must not reach the tests. No event
 * is held, unless the test says so; an empty value means the default.
 */
function environment(settings: Environment): NodeJS.ProcessEnv {
  const names = Object.values(SETTINGS).map(({ name }) => name);
  const unset = Object.fromEntries(names.map((name) => [name, '']));
  const { NODE_OPTIONS: _options, ...inherited } = process.env;
  const ours = { CAPTURE_PORT: '0', CONSOLE_PORT: '0', BUFFER_CONVERSION_SECONDS: '0' };
  return { ...inherited, ...unset, ...ours, ...settings };
}

/** Runs a program in the project's folder until it ends; it is killed when it does not. */
export async function run(program: string, args: readonly string[], settings: Environment): Promise<Exit> {
  const begun = performance.now();
  const child = spawn(program, args, {
    cwd: ROOT,
    env: environment(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_TIMEOUT_MS);
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  if (args === START) keepLog(output.stdout + output.stderr);
  return { code, ...output, elapsedMs: performance.now() - begun };
}

/** What `npm start` runs. */
export const START: readonly string[] = ['--import', 'tsx', 'src/main.ts'];

/** A start that is expected to fail. */
export const runStart = (settings: Environment): Promise<Exit> => run(process.execPath, START, settings);

/** Ends with `t`. Rejects with what the process says when it does not start. */
export async function startSystem(t: Test, dataDir: string, settings: Environment = {}): Promise<TestSystem> {
  const begun = performance.now();
  const child = spawn(process.execPath, START, {
    cwd: ROOT,
    env: environment({ TRIBUTARY_DATA_DIR: dataDir, ...settings }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: LogLine[] = [];
  const output = { stdout: '', stderr: '' };
  const closed = once(child, 'close').finally(() => keepLog(output.stderr));
  t.teardown(async () => {
    if (!hasEnded(child)) await end(child, 'SIGTERM', closed);
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const ready = await new Promise<LogLine>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the system is not ready in time')), READY_TIMEOUT_MS);
    createInterface(child.stdout).on('line', (text) => {
      output.stdout += `${text}\n`;
      keepLog(text);
      const line: LogLine = JSON.parse(text);
      log.push(line);
      if (line.msg === 'ready') resolve(line);
    });
    closed.then(([code]) => reject(new Error(`ended with ${code}: ${output.stderr}`)), reject);
    void Promise.allSettled([closed]).then(() => clearTimeout(timer));
  });
  const readyMs = performance.now() - begun;
  return {
    ...observer(String(ready['captureUrl']), String(ready['consoleUrl'])),
    pid: child.pid ?? 0,
    dataDir,
    readyMs,
    log,
    async end(signal) {
      const { code, elapsedMs } = await end(child, signal, closed);
      return { code, elapsedMs, ...output };
    },
  };
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function end(child: ChildProcess, signal: NodeJS.Signals, closed: Promise<unknown[]>) {
  const begun = performance.now();
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await closed;
  clearTimeout(timer);
  return { code: child.exitCode, elapsedMs: performance.now() - begun };
}

type Observer = Omit<TestSystem, 'pid' | 'dataDir' | 'readyMs' | 'log' | 'end'>;

function observer(captureUrl: string, consoleUrl: string): Observer {
  const ask = async (database: string, statement: string): Promise<Row[]> => {
    const response = await fetch(`${consoleUrl}/sql?database=${database}`, {
      method: 'POST',
      body: statement,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${text.trim()}: ${statement.slice(0, 500)}`);
    return text
      .split('\n')
      .filter(Boolean)
      .map((line): Row => JSON.parse(line));
  };
  const system: Observer = {
    captureUrl,
    consoleUrl,
    async post(path, body, headers = {}) {
      const response = await fetch(captureUrl + path, { method: 'POST', body, headers });
      return { status: response.status, text: await response.text() };
    },
    async send(events) {
      const { status, text } = await system.post('/batch', JSON.stringify({ api_key: TOKEN, batch: events }));
      if (status !== 200) throw new Error(`${status} ${text}`);
    },
    sql: (statement) => ask('clickhouse', statement),
    postgres: (statement) => ask('postgres', statement),
    ledger: async () => (await fetch(`${consoleUrl}/_ledger`)).json() as Promise<Books>,
    health: async () => (await fetch(`${consoleUrl}/_health`)).status,
    async settled() {
      let state: unknown;
      const books = await until(
        () => `the books and the databases agree: ${JSON.stringify(state)}`,
        async () => {
          const now = await system.ledger();
          if (now.waiting + now.in_flight + now.held > 0) {
            state = now;
            return undefined;
          }
          const [expected, found] = [await expectedCounts(system, now), await foundCounts(system)];
          state = { books: now, expected, found };
          return JSON.stringify(expected) === JSON.stringify(found) ? now : undefined;
        },
        SETTLE_TIMEOUT_MS,
      );
      const ended = books.rows + sum(books.dead_lettered) + sum(books.dropped);
      if (books.imbalance !== 0 || books.acknowledged !== ended) {
        throw new Error(`the books do not balance: ${JSON.stringify(books)}`);
      }
      return books;
    },
  };
  return system;
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

/** By the books and by Postgres: events, dead letters, persons and ids with the sums of their versions. */
async function expectedCounts({ postgres }: Observer, books: Books): Promise<readonly number[]> {
  const [row] = await postgres(`
    SELECT (SELECT count(*) FROM posthog_person) AS persons,
      (SELECT coalesce(sum(version), 0)::bigint FROM posthog_person) AS person_versions,
      (SELECT count(*) FROM posthog_persondistinctid) AS ids,
      (SELECT coalesce(sum(version), 0)::bigint FROM posthog_persondistinctid) AS id_versions`);
  return [books.rows, sum(books.dead_lettered), ...Object.values(row ?? {}).map(Number)];
}

/** The same as ClickHouse shows them. */
async function foundCounts({ sql }: Observer): Promise<readonly number[]> {
  const [row] = await sql(`
    SELECT (SELECT uniqExact(uuid, event, distinct_id) FROM events) AS events,
      (SELECT uniqExact(id) FROM events_dead_letter_queue) AS dead_letters,
      (SELECT count() FROM person FINAL WHERE is_deleted = 0) AS persons,
      (SELECT sum(version) FROM person FINAL WHERE is_deleted = 0) AS person_versions,
      (SELECT count() FROM person_distinct_id2 FINAL WHERE is_deleted = 0) AS ids,
      (SELECT sum(version) FROM person_distinct_id2 FINAL WHERE is_deleted = 0) AS id_versions`);
  return Object.values(row ?? {}).map(Number);
}

/** What `look` finds, asked again until it finds something. `what`: what was waited for, for the error. */
export async function until<Found>(
  what: string | (() => string),
  look: () => Promise<Found | undefined>,
  timeoutMs = UNTIL_TIMEOUT_MS,
): Promise<Found> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(POLL_MS);
  }
}
