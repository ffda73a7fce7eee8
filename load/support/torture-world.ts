/**
 * Everything that outlives the process: a Postgres of its own behind a proxy, the data folder with log and ClickHouse,
 * and the clients.
 */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sleep, systemClock } from '../../src/clock.ts';
import { readRunning } from '../../src/storage/embedded/data-dir.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { openPostgres, type Postgres } from '../../src/storage/postgres/pool.ts';
import { STORE_FOLDERS } from '../../src/stores.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { seededRandom } from './random.ts';
import { System } from './system.ts';
import { type Attempt, TortureClient } from './torture-client.ts';
import { TortureEvents } from './torture-events.ts';
import { Follower } from './torture-follow.ts';
import { DeadLog } from './torture-log.ts';
import { PostgresProxy } from './torture-proxy.ts';
import { Coroner, type Remains } from './torture-remains.ts';

export interface Death {
  readonly remains: Remains;
  /** Requests that were under way. */
  readonly attempts: readonly Attempt[];
  /** Uuids that came to the log in this life. */
  readonly logged: ReadonlySet<string>;
}

const CLIENTS = 6;
const BATCH = 10;
const PARTITIONS = 4;
const HOLD_SECONDS = 5;
/** How long a client may take to see that its connection is gone. */
const LOSS_MS = 2_000;
const POLL_MS = 5;

export class World {
  readonly system: System;
  readonly proxy: PostgresProxy;
  /** Not through the proxy. */
  readonly postgres: Postgres;
  readonly follower = new Follower();
  readonly clients: readonly TortureClient[];
  /** The most that the process has ever had resident, in MiB. */
  rssMax = 0;
  readonly #server: EmbeddedPostgres;
  readonly #folder: string;
  readonly #coroner: Coroner;
  #bornAtMs = 0;
  #onSend: () => void = () => {};

  private constructor(
    system: System,
    proxy: PostgresProxy,
    server: EmbeddedPostgres,
    folder: string,
    { seed, eventsPerSecond }: { readonly seed: number; readonly eventsPerSecond: number },
  ) {
    this.system = system;
    this.proxy = proxy;
    this.postgres = openPostgres({ url: server.url, logger: quietLogger });
    this.#server = server;
    this.#folder = folder;
    const { postgres, follower } = this;
    const { dataDir } = system;
    const log = new DeadLog(join(dataDir, STORE_FOLDERS.log), PARTITIONS);
    this.#coroner = new Coroner({ dataDir, log, postgres, proxy, follower });
    this.clients = Array.from({ length: CLIENTS }, (_, index) => {
      const random = seededRandom(seed + index + 1);
      return new TortureClient({
        captureUrl: system.captureUrl,
        random,
        events: new TortureEvents(random, String(index)),
        batch: BATCH,
        eventsPerSecond: eventsPerSecond / CLIENTS,
        onSend: () => this.#onSend(),
      });
    });
  }

  static async create(options: { readonly seed: number; readonly eventsPerSecond: number }): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-torture-'));
    // As root, PostgreSQL runs as another user, who has to reach its folder.
    await chmod(folder, 0o755);
    const server = await startEmbeddedPostgres({ dir: join(folder, 'postgres'), logger: quietLogger });
    const target = new URL(server.url);
    const proxy = await PostgresProxy.open(target);
    target.port = String(proxy.port);
    const system = await System.create({
      DATABASE_URL: target.href,
      TRIBUTARY_DEV_PROJECT: 'on',
      TRIBUTARY_WITNESS: 'on',
      BUFFER_CONVERSION_SECONDS: String(HOLD_SECONDS),
      EMBEDDED_PARTITIONS: String(PARTITIONS),
    });
    return new World(system, proxy, server, folder, options);
  }

  /** What is to be looked at when something is wrong. */
  get folders(): readonly string[] {
    return [dirname(this.system.dataDir), this.#folder];
  }

  /** Starts the process and waits for nothing. */
  launch(): void {
    this.#bornAtMs = systemClock.now();
    this.system.launch();
  }

  /** Resolves when a client sends its next request. */
  nextRequest(): Promise<void> {
    return new Promise((resolve) => {
      this.#onSend = resolve;
    });
  }

  /** Kills the process, and reads what it leaves behind. */
  async kill(): Promise<Death> {
    const attempts = this.clients.flatMap(({ attempt }) => (attempt?.outcome === 'pending' ? [attempt] : []));
    await this.system.kill();
    await this.#lost(attempts);
    const remains = await this.#coroner.read(this.#bornAtMs);
    const logged = new Set(remains.log.ingested.map(({ uuid }) => uuid));
    for (const client of this.clients) {
      const missing = client.takeAcknowledged().filter((uuid) => !this.follower.logged.has(uuid));
      for (const uuid of missing)
        this.follower.problems.push(`${uuid} was answered 200, and is not in the log`);
    }
    return { remains, attempts, logged };
  }

  /** Before a kill: afterwards nobody knows. Linux only. */
  async noteMemory(): Promise<void> {
    const running = await readRunning(this.system.dataDir);
    const status = running && (await readFile(`/proc/${running.pid}/status`, 'utf8').catch(() => ''));
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(status ?? '') ?? [];
    this.rssMax = Math.max(this.rssMax, Math.round(Number(kib ?? 0) / 1024));
  }

  /** Ends everything. `keep`: leaves the folders as they are. */
  async close(keep: boolean): Promise<void> {
    await this.system.kill();
    await this.postgres.close();
    await this.proxy.close();
    await this.#server.stop();
    if (keep) return;
    await this.system.remove();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #lost(attempts: readonly Attempt[]): Promise<void> {
    const deadline = systemClock.monotonic() + LOSS_MS;
    while (attempts.some(({ outcome }) => outcome === 'pending') && systemClock.monotonic() < deadline) {
      await sleep(systemClock, POLL_MS);
    }
  }
}
