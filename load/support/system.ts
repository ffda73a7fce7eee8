/** The whole system in a process of its own, as `npm start` runs it, on a data folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Books } from '../../src/books.ts';
import { parseRows } from '../../src/cli/client.ts';
import type { Row } from '../../src/cli/terminal.ts';
import { sleep, systemClock } from '../../src/clock.ts';
import type { Database } from '../../src/console/server.ts';
import { SETTINGS } from '../../src/settings.ts';
import { readRunning } from '../../src/storage/embedded/data-dir.ts';
import { stopOrphanedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { STORE_FOLDERS } from '../../src/stores.ts';
import { freePort } from '../../tools/free-port.ts';
import { suiteLogFile } from '../../tools/suite-logs.ts';
import { type Memory, readMemory } from './memory.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const COLLECT_ON_SIGNAL = join(import.meta.dirname, 'collect-on-signal.ts');
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_MS = 60_000;
const POLL_MS = 20;

/** What `npm start` sets for the process: glibc then gives freed memory back instead of keeping it for itself. */
function startEnvironment(): Record<string, string> {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const found = [...String(scripts.start).matchAll(/(\w+)=(\S+)/g)];
  return Object.fromEntries(found.map(([, name, value]) => [name, value]));
}

export class System {
  readonly captureUrl: string;
  readonly consoleUrl: string;
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #logFile: string;
  #process: ChildProcess | undefined;

  private constructor(
    folder: string,
    capturePort: number,
    consolePort: number,
    settings: Readonly<Record<string, string>>,
  ) {
    this.#folder = folder;
    this.#logFile = suiteLogFile() ?? join(folder, 'system.log');
    this.captureUrl = `http://127.0.0.1:${capturePort}`;
    this.consoleUrl = `http://127.0.0.1:${consolePort}`;
    // Empty counts as unset: settings of this shell, or of `.env`, must not reach the system.
    const unset = Object.values(SETTINGS).map(({ name }) => [name, '']);
    this.#environment = {
      ...startEnvironment(),
      ...Object.fromEntries(unset),
      TRIBUTARY_DATA_DIR: join(folder, 'data'),
      CAPTURE_HOST: '127.0.0.1',
      CAPTURE_PORT: String(capturePort),
      CONSOLE_HOST: '127.0.0.1',
      CONSOLE_PORT: String(consolePort),
      BUFFER_CONVERSION_SECONDS: '0',
      MEMORY_FILE: join(folder, 'memory.jsonl'),
      ...settings,
    };
  }

  /** A new data folder; nothing runs yet. `settings`: environment variables; no event is held unless they say so. */
  static async create(settings: Readonly<Record<string, string>> = {}): Promise<System> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-load-'));
    // As root, PostgreSQL runs as another user, who has to reach its folder.
    await chmod(folder, 0o755);
    return new System(folder, await freePort(), await freePort(), settings);
  }

  /** Starts the process and waits until it is ready; resolves with the milliseconds that this took. */
  start(): Promise<number> {
    this.launch();
    return this.ready();
  }

  /** Starts the process and waits for nothing. */
  launch(): void {
    const log = openSync(this.#logFile, 'a');
    const flags = ['--expose-gc', '--import', 'tsx', '--import', COLLECT_ON_SIGNAL];
    this.#process = spawn(process.execPath, [...flags, join(ROOT, 'src', 'main.ts')], {
      cwd: ROOT,
      env: { ...process.env, ...this.#environment },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
  }

  /** Resolves with the milliseconds that it took from now on; rejects with the end of its log if it fails. */
  async ready(): Promise<number> {
    const startedAt = systemClock.monotonic();
    const elapsedMs = (): number => Math.round(systemClock.monotonic() - startedAt);
    for (;;) {
      if (await this.#isUp()) return elapsedMs();
      if (this.hasEnded) throw new Error(`the system ended while it started:\n${await this.log()}`);
      if (elapsedMs() > START_TIMEOUT_MS) {
        throw new Error(`the system is not ready after ${START_TIMEOUT_MS} ms:\n${await this.log()}`);
      }
      await sleep(systemClock, POLL_MS);
    }
  }

  /** A process of some roles may leave nothing in its data folder; its console is the last that starts. */
  async #isUp(): Promise<boolean> {
    if (this.#environment['TRIBUTARY_ROLES']) return (await this.readiness()).status !== 0;
    return (await readRunning(this.dataDir))?.pid === this.#process?.pid && !this.hasEnded;
  }

  get dataDir(): string {
    return join(this.#folder, 'data');
  }

  /** Of the process that runs, or ran last. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** By itself, or because it was stopped. */
  get hasEnded(): boolean {
    const child = this.#process;
    return child === undefined || child.exitCode !== null || child.signalCode !== null;
  }

  /** The end of what it logged. */
  async log(): Promise<string> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '');
    return log.split('\n').slice(-20).join('\n').slice(-4_000);
  }

  /** Every line of the log that is JSON, since the folder was made. */
  async lines(): Promise<readonly Row[]> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '');
    return log
      .split('\n')
      .flatMap((line): Row[] => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line)] : []));
  }

  /** Every line of the log that is no JSON: what wrote it was not the logger. */
  async strayLines(): Promise<readonly string[]> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '');
    const lines = log.split('\n').slice(0, -1);
    return lines.filter((line) => line !== '' && !(line.startsWith('{') && line.endsWith('}')));
  }

  /** Waits for nothing. */
  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  /** SIGTERM, as an orchestrator sends it. Resolves once the process is gone, with what it took and its exit code. */
  async stop(): Promise<{ readonly elapsedMs: number; readonly code: number | null | undefined }> {
    const startedAt = systemClock.monotonic();
    this.signal('SIGTERM');
    await this.#ended();
    return { elapsedMs: Math.round(systemClock.monotonic() - startedAt), code: this.#process?.exitCode };
  }

  /** SIGKILL to the process alone: its PostgreSQL lives on. Resolves once the process is gone. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#ended();
  }

  /** Ends whatever runs, and removes the folder. */
  async remove(): Promise<void> {
    this.#process?.kill('SIGTERM');
    const cancel = systemClock.after(STOP_TIMEOUT_MS, () => this.#process?.kill('SIGKILL'));
    await this.#ended();
    cancel();
    await stopOrphanedPostgres(join(this.#folder, 'data', STORE_FOLDERS.postgres));
    await rm(this.#folder, { recursive: true, force: true });
  }

  async books(): Promise<Books> {
    const books: Books = JSON.parse(await this.#ask('/_ledger'));
    return books;
  }

  async query(sql: string, database: Database = 'clickhouse'): Promise<readonly Row[]> {
    return parseRows(await this.#ask(`/sql?database=${database}`, sql));
  }

  /** The sum of a metric, over its labels that match `labels`, such as `reason="time"`. */
  async metric(name: string, labels = ''): Promise<number> {
    const lines = (await this.#ask('/_metrics')).split('\n');
    const found = lines.filter((line) => /^\w+/.exec(line)?.[0] === name && line.includes(labels));
    return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** After a garbage collection. */
  async memory(): Promise<Memory> {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('the system does not run');
    return readMemory(pid, join(this.#folder, 'memory.jsonl'));
  }

  /** What it says to whoever asks whether it is ready; status 0: nobody answers. */
  async readiness(): Promise<{ readonly status: number; readonly text: string }> {
    try {
      const response = await fetch(`${this.consoleUrl}/_ready`, {
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      return { status: 0, text: String(error) };
    }
  }

  async #ask(path: string, body?: string): Promise<string> {
    const response = await fetch(`${this.consoleUrl}${path}`, {
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      ...(body === undefined ? {} : { method: 'POST', body }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
    return text;
  }

  async #ended(): Promise<void> {
    const child = this.#process;
    if (child === undefined || this.hasEnded) return;
    await new Promise((resolve) => child.once('exit', resolve));
  }
}
