/** A cluster under load, for one fault: what everybody needs before it, and the proof after it. */
import { sleep, systemClock } from '../../src/clock.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { type ClusterProof, proveCluster } from './cluster-proof.ts';
import { LogWatch, type SeenRecord } from './log-watch.ts';
import { SeqClient } from './seq-client.ts';
import { StateWatch } from './state-watch.ts';

export interface FaultOptions {
  readonly onProgress: (line: string) => void;
  /** A broker that runs already, where the fault does not need one of its own. */
  readonly kafkaHosts?: string | undefined;
  /** Of all clients. */
  readonly eventsPerSecond?: number | undefined;
  /** How many times longer than promised things may take, on a machine that has more to do; 1 is the promise. */
  readonly patience?: number;
}

export interface FaultResult {
  /** What was measured, by name. */
  readonly facts: Readonly<Record<string, string | number>>;
  readonly problems: readonly string[];
  /** Folders that are kept, if something is wrong. */
  readonly folders: readonly string[];
}

export interface SceneOptions extends FaultOptions, Partial<Omit<ClusterOptions, 'kafkaHosts'>> {
  /** Of the ten events of a request: of ids that nobody knows. */
  readonly heldPerRequest?: number;
}

export interface Scene {
  readonly cluster: Cluster;
  readonly clients: readonly SeqClient[];
  readonly watch: LogWatch;
  readonly state: StateWatch;
  /** Whatever is not as it must be. */
  readonly problems: string[];
  readonly facts: Record<string, string | number>;
  readonly report: (line: string) => void;
  readonly patience: number;
  /** Resolves once this many more events have been answered 200. */
  takes(events: number, timeoutMs?: number): Promise<void>;
  stopClients(): Promise<void>;
}

/** What is peculiar to the end of a fault. */
export interface Aftermath {
  /** Whether the record left the log before progress said that it had its row. */
  readonly isLost?: (record: SeenRecord) => boolean;
  /** Goes on after the proof. */
  readonly afterProof?: (scene: Scene, proof: ClusterProof) => Promise<void>;
}

type Fault = (scene: Scene) => Promise<void>;

const CLIENTS = 4;
const PARTITIONS = 4;
const HOLD_SECONDS = 5;
const EVENTS_PER_SECOND = 200;
const HELD_PER_REQUEST = 2;
const TAKES_MS = 60_000;
const LAST_LOAD_MS = 1_000;
const POLL_MS = 50;

/** Runs `fault` on a cluster under load, lets everything settle, and proves that nothing was lost, or says what was. */
export async function onCluster(
  options: SceneOptions,
  fault: Fault,
  aftermath: Aftermath = {},
): Promise<FaultResult> {
  const startedAt = systemClock.monotonic();
  const report = (line: string): void => {
    const seconds = (systemClock.monotonic() - startedAt) / 1_000;
    options.onProgress(`${seconds.toFixed(1).padStart(6)} s  ${line}`);
  };
  const cluster = await Cluster.create({
    ...options,
    partitions: options.partitions ?? PARTITIONS,
    holdSeconds: options.holdSeconds ?? HOLD_SECONDS,
  });
  const problems: string[] = [];
  const facts: Record<string, string | number> = {};
  let isProven = false;
  try {
    await run(
      cluster,
      options,
      { problems, facts, report, patience: options.patience ?? 1 },
      fault,
      aftermath,
    );
    isProven = problems.length === 0;
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return { facts, problems, folders: await cluster.close(!isProven) };
}

async function run(
  cluster: Cluster,
  options: SceneOptions,
  notes: Pick<Scene, 'problems' | 'facts' | 'report' | 'patience'>,
  fault: Fault,
  { isLost, afterProof }: Aftermath,
): Promise<void> {
  const { problems, facts, report } = notes;
  report(`ready after ${await cluster.start()} ms`);
  const watch = await LogWatch.open(cluster.log);
  const state = new StateWatch(cluster);
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) =>
      new SeqClient({
        captureUrl: cluster.capture.captureUrl,
        name: String(index),
        eventsPerSecond: (options.eventsPerSecond ?? EVENTS_PER_SECOND) / CLIENTS,
        heldPerRequest: options.heldPerRequest ?? HELD_PER_REQUEST,
      }),
  );
  const running = clients.map((client) => client.run());
  const watching = state.run();
  const stopClients = async (): Promise<void> => {
    for (const client of clients) client.stop();
    await Promise.all(running);
  };
  const taken = (): number => clients.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
  const takes = async (events: number, timeoutMs = TAKES_MS): Promise<void> => {
    const aim = taken() + events;
    const deadline = systemClock.monotonic() + timeoutMs;
    while (taken() < aim) {
      if (systemClock.monotonic() > deadline)
        throw new Error(`no ${events} events were taken in ${timeoutMs} ms`);
      await sleep(systemClock, POLL_MS);
    }
  };
  try {
    await takes(100);
    const scene: Scene = { cluster, clients, watch, state, ...notes, takes, stopClients };
    await fault(scene);
    await sleep(systemClock, LAST_LOAD_MS);
    await stopClients();
    report(`${taken()} events were answered 200; settling`);
    const proof = await proveCluster(cluster, clients, watch, isLost);
    problems.push(...proof.problems, ...state.problems.slice(0, 5));
    Object.assign(facts, {
      'answered 200': taken(),
      'records in the log': watch.records.size,
      'uuids again': `${proof.uuidsAgain} records, ${proof.books.dropped['duplicate'] ?? 0} recognised as duplicates`,
      'rows again': `${proof.rowsAgain}; ${proof.rowsLater} that stay show a later moment`,
      'longest wait for a lock': `${state.lockWaitMaxMs} ms`,
      books: JSON.stringify(proof.books),
    });
    await afterProof?.(scene, proof);
  } finally {
    await stopClients();
    state.stop();
    await watching;
    await watch.close().catch(() => {});
  }
}
