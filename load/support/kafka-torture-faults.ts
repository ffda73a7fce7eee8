/** What torture over Kafka does to a process, and what says that it hit. */
import { sleep, systemClock } from '../../src/clock.ts';
import { bringUp, type Cluster } from './cluster.ts';
import { ownedBy } from './kafka-torture-owners.ts';
import type { Random } from './random.ts';
import type { System } from './system.ts';
import type { PostgresProxy, SavePoint } from './torture-proxy.ts';
import { isRolledBack, openSaves, rolledBackSaves } from './torture-saves.ts';

export const FAULTS = {
  'kill -9': 'it had partitions, by the epochs in Postgres',
  'kill -9 inside a save': 'its transaction was open, and Postgres rolled it back',
  'kill -9 inside a merge': 'its transaction had merged persons, and Postgres rolled it back',
  'kill -9 after a commit': 'Postgres had answered its COMMIT, and nothing had reached it',
  'kill -9 to all workers': 'each of two or more had partitions',
  'SIGSTOP, short': 'it had partitions, and still had one of them in the same epoch afterwards',
  'SIGSTOP, long': 'others took all its partitions meanwhile',
  'SIGSTOP, long, inside a save': 'others took its partitions, and its transaction was rolled back',
  'SIGSTOP, long, after a commit': 'others took its partitions, before it heard of its own commit',
  'SIGTERM, and a start': 'it had partitions, and ended with 0',
  'one more joins': 'it got a partition',
  'one more leaves by SIGTERM': 'it had partitions, and ended with 0',
  'one more leaves by kill -9': 'it had partitions',
  'all restart by SIGTERM': 'each of two or more had partitions, and ended with 0',
  'kill -9 to the loader': 'it ran',
  'kill -9 to capture': 'it ran',
} as const;

export type FaultKind = keyof typeof FAULTS;
export const FAULT_KINDS = Object.keys(FAULTS) as readonly FaultKind[];

/** To one worker, while others may be hit by something else. */
export const WORKER_FAULTS = FAULT_KINDS.slice(0, 10).filter((kind) => kind !== 'kill -9 to all workers');
export const CLUSTER_FAULTS = ['kill -9 to all workers', 'all restart by SIGTERM'] as const;
export const OTHER_FAULTS = ['kill -9 to the loader', 'kill -9 to capture'] as const;
export const isOfVisitor = (kind: FaultKind): boolean => kind.startsWith('one more');

export interface Blow {
  readonly cluster: Cluster;
  readonly random: Random;
  /** Called as soon as it is known. */
  readonly note: (kind: FaultKind, isHit: boolean) => void;
}

/** The session timeout of the group is 10 s. */
const LONG_MS = 12_000;
const SHORT_MS = 500;
const SHORT_SPREAD_MS = 6_000;
const CAUGHT_MS = 4_000;
const JITTER_MS = 2_500;
const AWAY_MS = 3_000;
const JOIN_MS = 60_000;
const STAY_MS = 4_000;
const POLL_MS = 100;

const IN_A_SAVE: SavePoint = { kind: 'sends', statement: 'INSERT INTO tributary_folded', merging: false };
const IN_A_MERGE: SavePoint = { ...IN_A_SAVE, merging: true };
const COMMITTED: SavePoint = { kind: 'answered', of: 'save' };
const POINTS: Readonly<Partial<Record<FaultKind, SavePoint>>> = {
  'kill -9 inside a save': IN_A_SAVE,
  'kill -9 inside a merge': IN_A_MERGE,
  'kill -9 after a commit': COMMITTED,
  'SIGSTOP, long, inside a save': IN_A_SAVE,
  'SIGSTOP, long, after a commit': COMMITTED,
};

/** Resolves when the worker is back. */
export async function hitWorker(kind: FaultKind, blow: Blow, index: number): Promise<void> {
  const { cluster, random, note } = blow;
  const worker = cluster.workers[index];
  const proxy = cluster.proxies[index];
  if (worker === undefined || proxy === undefined) throw new RangeError(`there is no worker ${index}`);
  await sleep(systemClock, random.next() * JITTER_MS);
  const point = POINTS[kind];
  const isCaught = point !== undefined && (await isCaughtAt(proxy, point));
  if (kind.startsWith('SIGSTOP')) note(kind, await stop(kind, blow, worker, proxy, isCaught));
  else if (kind === 'SIGTERM, and a start') note(kind, await leave(cluster, worker));
  else note(kind, await kill(kind, cluster, worker, proxy, isCaught));
  if (!worker.hasEnded) return;
  if (!kind.startsWith('SIGSTOP')) await sleep(systemClock, random.next() * AWAY_MS);
  else throw new Error(`a worker ended by itself after ${kind}:\n${await worker.log()}`);
  await bringUp(worker);
}

async function isCaughtAt(proxy: PostgresProxy, point: SavePoint): Promise<boolean> {
  const isCaught = await Promise.race([
    proxy.caught(point).then(() => true),
    sleep(systemClock, CAUGHT_MS).then(() => false),
  ]);
  proxy.forget();
  return isCaught;
}

async function kill(
  kind: FaultKind,
  cluster: Cluster,
  worker: System,
  proxy: PostgresProxy,
  isCaught: boolean,
): Promise<boolean> {
  await worker.kill();
  const rolledBack = await rolledBackSaves(cluster.postgres, proxy);
  if (kind === 'kill -9 inside a save') return rolledBack.length > 0;
  if (kind === 'kill -9 inside a merge') return rolledBack.some(({ isMerging }) => isMerging);
  return (kind !== 'kill -9 after a commit' || isCaught) && (await ownedBy(cluster, worker)).length > 0;
}

async function stop(
  kind: FaultKind,
  { cluster, random }: Blow,
  worker: System,
  proxy: PostgresProxy,
  isCaught: boolean,
): Promise<boolean> {
  worker.signal('SIGSTOP');
  const stoppedAt = systemClock.monotonic();
  try {
    const before = await ownedBy(cluster, worker);
    const [save] = isCaught ? await openSaves(cluster.postgres, proxy) : [];
    const isShort = kind === 'SIGSTOP, short';
    const stoppedMs = isShort ? SHORT_MS + random.next() * SHORT_SPREAD_MS : LONG_MS;
    const untilLost = stoppedAt + (isShort ? stoppedMs : JOIN_MS);
    await sleep(systemClock, Math.max(0, stoppedAt + stoppedMs - systemClock.monotonic()));
    // Late on a busy machine: the others take over one after the other.
    let owned = await ownedBy(cluster, worker);
    while (!isShort && owned.length > 0 && systemClock.monotonic() < untilLost) {
      await sleep(systemClock, POLL_MS);
      owned = await ownedBy(cluster, worker);
    }
    const isFenced = before.length > 0 && owned.length === 0;
    if (isShort) return owned.length > 0;
    if (kind === 'SIGSTOP, long, after a commit') return isFenced && isCaught;
    if (kind === 'SIGSTOP, long') return isFenced;
    return isFenced && save !== undefined && (await isRolledBack(cluster.postgres, save));
  } finally {
    worker.signal('SIGCONT');
  }
}

/** Whether it had partitions and ended well. */
async function leave(cluster: Cluster, worker: System): Promise<boolean> {
  const owned = await ownedBy(cluster, worker);
  const { code } = await worker.stop();
  if (code !== 0) throw new Error(`a worker ended with ${code} after SIGTERM:\n${await worker.log()}`);
  return owned.length > 0;
}

/** To all workers at the same time; resolves when all are back. */
export async function hitAll(kind: (typeof CLUSTER_FAULTS)[number], { cluster, note }: Blow): Promise<void> {
  const { workers, proxies, postgres } = cluster;
  const owned = await Promise.all(workers.map((worker) => ownedBy(cluster, worker)));
  if (kind === 'kill -9 to all workers') {
    await Promise.all(workers.map((worker) => worker.kill()));
    await Promise.all(proxies.map((proxy) => rolledBackSaves(postgres, proxy)));
  } else await Promise.all(workers.map((worker) => leave(cluster, worker)));
  note(kind, owned.filter(({ length }) => length > 0).length > 1);
  await Promise.all(workers.map(bringUp));
}

/** One more worker joins, and leaves again. */
export async function visit({ cluster, random, note }: Blow): Promise<void> {
  const { visitor } = cluster;
  await bringUp(visitor);
  const deadline = systemClock.monotonic() + JOIN_MS;
  const hasJoined = async (): Promise<boolean> => (await ownedBy(cluster, visitor)).length > 0;
  while (!(await hasJoined()) && systemClock.monotonic() < deadline) await sleep(systemClock, POLL_MS);
  note('one more joins', await hasJoined());
  await sleep(systemClock, random.next() * STAY_MS);
  if (random.integer(2) === 0) return note('one more leaves by SIGTERM', await leave(cluster, visitor));
  await visitor.kill();
  note('one more leaves by kill -9', await hasJoined());
}

/** To a process that is no worker. */
export async function hitOther(
  kind: (typeof OTHER_FAULTS)[number],
  { cluster, random, note }: Blow,
): Promise<void> {
  const system = kind === 'kill -9 to capture' ? cluster.capture : cluster.loader;
  await sleep(systemClock, random.next() * JITTER_MS);
  const ran = !system.hasEnded;
  await system.kill();
  note(kind, ran);
  await bringUp(system);
}
