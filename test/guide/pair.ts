/** Two workers, Adam and Berta, on one log and one Postgres, whose calls to Postgres can be held back. */
import type { Test } from 'tap';
import type { WorkerLimits } from '../../src/actors/session.ts';
import type { Worker } from '../../src/actors/worker.ts';
import { captureKey } from '../../src/event/captured.ts';
import { asDistinctId } from '../../src/event/ids.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { type Changed, type PersonSeen, type Row, type Sent, System, TOKEN, until } from './harness.ts';

const PARTITIONS = 2;

/** Calls pass while it is open, and wait while it is shut. */
export class Gate {
  #opened = Promise.resolve();
  #open: () => void = () => {};
  #waiting = 0;
  #isBroken = false;
  /** So many calls were made at once, at most. */
  most = 0;

  shut(): void {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  /** The next call fails. */
  break(): void {
    this.#isBroken = true;
  }

  async pass(): Promise<void> {
    if (this.#isBroken) {
      this.#isBroken = false;
      throw new Error('the connection was lost');
    }
    this.#waiting += 1;
    this.most = Math.max(this.most, this.#waiting);
    await this.#opened;
    this.#waiting -= 1;
  }

  /** Resolves when a call waits. */
  reached(): Promise<void> {
    return until('a call waits at the gate', () => this.#waiting > 0);
  }
}

export interface Process {
  readonly worker: Worker;
  /** Of its saves. */
  readonly saves: Gate;
  /** Of what Postgres answers to them. */
  readonly answers: Gate;
  /** Of its questions to whom ids belong. */
  readonly reads: Gate;
}

export interface Pair {
  readonly system: System;
  readonly adam: Process;
  readonly berta: Process;
}

export interface PairOptions {
  readonly holdMs?: number;
  /** Of Adam. */
  readonly limits?: Partial<WorkerLimits>;
  /** Whether he hears what others have changed. */
  readonly isShared?: boolean;
}

/** Adam has the first partition, Berta the second one. */
export async function startPair(t: Test, options: PairOptions = {}): Promise<Pair> {
  const { system, adam } = await startAlone(t, options);
  return { system, adam, berta: await join(system, adam) };
}

/** Adam has both partitions, until Berta joins. */
export async function startAlone(t: Test, options: PairOptions = {}): Promise<Omit<Pair, 'berta'>> {
  const { holdMs = 0, limits = {}, isShared = true } = options;
  const system = await System.open(t, { partitions: PARTITIONS, holdMs });
  return { system, adam: await startProcess(system, { limits, isShared }) };
}

/** Berta, who takes the second partition. */
export async function join(system: System, adam: Process, saves = new Gate()): Promise<Process> {
  const berta = await startProcess(system, { isShared: true }, saves);
  await until('each has its partition', () => isOnly(adam.worker, 0) && isOnly(berta.worker, 1));
  return berta;
}

async function startProcess(system: System, changed: Changed, saves = new Gate()): Promise<Process> {
  const answers = new Gate();
  const reads = new Gate();
  const wrap = (store: PersonStore): PersonStore => ({
    ...store,
    async save(partitions, works) {
      await saves.pass();
      const saved = await store.save(partitions, works);
      await answers.pass();
      return saved;
    },
    async findByIds(ids) {
      const found = await store.findByIds(ids);
      await reads.pass();
      return found;
    },
  });
  const worker = await system.startWorker(wrap, changed);
  return { worker, saves, answers, reads };
}

const isOnly = (worker: Worker, partition: number): boolean => {
  const standings = worker.standings();
  return standings.length === 1 && standings[0]?.partition === partition;
};

/** An id whose events Adam reads, and one whose events Berta reads: the name, with a number if it has to be. */
export const adams = (name: string): string => idOn(0, name);
export const bertas = (name: string): string => idOn(1, name);

function idOn(partition: number, name: string): string {
  for (let number = 1; ; number++) {
    const id = number === 1 ? name : `${name}-${number}`;
    if (partitionOf(captureKey(TOKEN, asDistinctId(id)), PARTITIONS) === partition) return id;
  }
}

export const seen = (distinctId: string, $set = {}): Sent => ({
  event: 'seen',
  distinct_id: distinctId,
  properties: { $device_id: distinctId, $set },
});
export const identify = (distinctId: string, anonId: string, $set = {}): Sent => ({
  event: '$identify',
  distinct_id: distinctId,
  properties: { $anon_distinct_id: anonId, $set },
});
export const merge = (distinctId: string, other: string): Sent => ({
  event: '$merge_dangerously',
  distinct_id: distinctId,
  properties: { alias: other },
});

/** Resolves when Postgres has it so. */
export const isSaved = (
  system: System,
  id: string,
  isSo: (person: PersonSeen) => boolean = () => true,
): Promise<void> =>
  until(`${id} is saved`, async () =>
    (await system.persons()).some((person) => person.ids.split(' ').includes(id) && isSo(person)),
  );
export const isMerged = (system: System, id: string) => isSaved(system, id, ({ ids }) => ids.includes(' '));
export const isIdentified = (system: System, id: string) =>
  isSaved(system, id, ({ is_identified }) => is_identified);

/** What ClickHouse ends with is what Postgres has: the newest message of each person, and of each id. */
export async function assertSame(t: Test, system: System): Promise<void> {
  const persons = await system.persons();
  const alive = newest(await system.read('clickhouse_person'), 'id').filter((row) => row['is_deleted'] === 0);
  t.same(
    alive.map(({ id, version, properties }) => [id, version, properties]).toSorted(),
    persons
      .map(({ uuid, version, properties, creator }) => [
        uuid,
        version,
        { ...properties, $creator_event_uuid: creator },
      ])
      .toSorted(),
    'the newest messages about persons are what Postgres has',
  );
  const mappings = newest(await system.read('clickhouse_person_distinct_id'), 'distinct_id');
  t.same(
    mappings.map((row) => `${row['distinct_id']} ${row['person_id']}`).toSorted(),
    persons.flatMap(({ ids, uuid }) => ids.split(' ').map((id) => `${id} ${uuid}`)).toSorted(),
    'and so are those about ids',
  );
}

function newest(rows: readonly Row[], key: string): readonly Row[] {
  const found = new Map<unknown, Row>();
  for (const row of rows) {
    const before = found.get(row[key]);
    if (before === undefined || Number(row['version']) >= Number(before['version'])) found.set(row[key], row);
  }
  return [...found.values()];
}
