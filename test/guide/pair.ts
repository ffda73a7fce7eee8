/** Two workers, Adam and Berta, on one log and one Postgres, whose calls to Postgres can be held back. */
import type { Test } from 'tap';
import type { WorkerLimits } from '../../src/actors/session.ts';
import type { Worker } from '../../src/actors/worker.ts';
import { captureKey } from '../../src/event/captured.ts';
import { asDistinctId } from '../../src/event/ids.ts';
import { partitionOf } from '../../src/storage/murmur2.ts';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { type Row, type Sent, System, TOKEN, until } from './harness.ts';

const PARTITIONS = 2;

/** Calls pass while it is open, and wait while it is shut. */
export class Gate {
  #opened = Promise.resolve();
  #open: () => void = () => {};
  #waiting = 0;

  shut(): void {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  async pass(): Promise<void> {
    this.#waiting += 1;
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
}

/** Adam has the first partition, Berta the second one. */
export async function startPair(t: Test, { holdMs = 0, limits = {} }: PairOptions = {}): Promise<Pair> {
  const system = await System.open(t, { partitions: PARTITIONS, holdMs });
  const adam = await startProcess(system, limits);
  const berta = await startProcess(system, {});
  await until('each has its partition', () => isOnly(adam.worker, 0) && isOnly(berta.worker, 1));
  return { system, adam, berta };
}

async function startProcess(system: System, limits: Partial<WorkerLimits>): Promise<Process> {
  const saves = new Gate();
  const reads = new Gate();
  const wrap = (store: PersonStore): PersonStore => ({
    ...store,
    save: (partitions, works) => saves.pass().then(() => store.save(partitions, works)),
    async findByIds(ids) {
      const found = await store.findByIds(ids);
      await reads.pass();
      return found;
    },
  });
  const worker = await system.startWorker(wrap, { isShared: true, limits });
  return { worker, saves, reads };
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
