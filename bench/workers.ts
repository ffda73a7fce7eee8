/**
 * Two workers on two partitions, against one worker on the same backlog. What counts is how long it takes; beside it
 * stands who used the machine meanwhile.
 */
import type { Parts } from '../src/parts.ts';
import type { EventLog } from '../src/storage/event-log.ts';
import type { Benchmark, Contest, Cost } from './benchmark.ts';
import { capturedRecord } from './events.ts';
import { appendAll, type KafkaPlace, kafkaMissing, openLogOnKafka, startBroker } from './kafka.ts';
import { machineCpuUs } from './machine-cpu.ts';
import { type MeasuredChild, startMeasuredChild } from './measured-child.ts';
import { treeCpuUs } from './process-tree.ts';
import { ROWS } from './real-worker.ts';
import { recordCount, startDatabase, startPostgres, tempDir, until } from './stores.ts';
import { PERSONS, visitOf } from './worker-contest.ts';
import type { WorkerOrder } from './worker-process.ts';

const PARTITIONS = 2;
const EVENTS = 10_000;
const ASK_EVERY_MS = 20;

export const workers: Benchmark = {
  name: 'workers',
  floor: 'one worker on both partitions (ours: two workers)',
  unit: 'µs elapsed',
  eventsPerRound: EVENTS,
  rounds: 3,
  missing: kafkaMissing,
  start: startContest,
};

/** Processes that share the machine, by name. */
type Pids = Readonly<Record<string, number>>;

interface Team {
  readonly log: EventLog;
  readonly members: readonly MeasuredChild[];
}

async function startContest(parts: Parts): Promise<Contest> {
  const dir = await tempDir(parts);
  const [broker, postgres] = await Promise.all([startBroker(parts), startPostgres(parts, dir)]);
  /** With topics and a database of its own. */
  const startTeam = async (name: string, count: number): Promise<Team> => {
    const { url } = await startDatabase(parts, postgres.postgres, name);
    const kafka: KafkaPlace = { hosts: broker.hosts, prefix: `${name}-`, partitions: PARTITIONS };
    const log = await openLogOnKafka(parts, kafka);
    const order: WorkerOrder = { kafka, databaseUrl: url, partitions: PARTITIONS / count };
    const start = () => startMeasuredChild(parts, 'worker-process.ts', JSON.stringify(order));
    return { log, members: await Promise.all(Array.from({ length: count }, start)) };
  };
  const two = await startTeam('two', 2);
  const one = await startTeam('one', 1);
  const append = async (events: number, round: number): Promise<void> => {
    const records = Array.from({ length: events }, (_, index) => capturedRecord(visitOf(index, round)));
    await appendAll(two.log, records);
    await appendAll(one.log, records);
  };
  const pids = { Kafka: broker.pid, Postgres: postgres.pid };

  // Every person once, so that all of them are known and in memory.
  await append(PERSONS, 0);
  await take(two, PERSONS, pids);
  await take(one, PERSONS, pids);

  let round = 1;
  return {
    prepare: () => append(EVENTS, round++),
    ours: () => take(two, EVENTS, pids),
    floor: () => take(one, EVENTS, pids),
  };
}

/** Lets the team work through its backlog of so many events. */
async function take({ log, members }: Team, events: number, pids: Pids): Promise<Cost> {
  const end = (await recordCount(log, ROWS)) + events;
  const named = Object.entries(pids);
  const cpuUs = () => named.map(([, pid]) => treeCpuUs(pid) ?? Number.NaN);
  const before = { cpuUs: cpuUs(), own: process.cpuUsage(), machine: machineCpuUs(), ms: performance.now() };
  await Promise.all(members.map((member) => member.begin()));
  await until(async () => (await recordCount(log, ROWS)) >= end, ASK_EVERY_MS);
  const elapsedUs = (performance.now() - before.ms) * 1000;
  const machine = machineCpuUs();
  const own = process.cpuUsage(before.own);
  const after = cpuUs();
  const costs = await Promise.all(members.map((member) => member.end()));

  const takenUs: readonly (readonly [string, number])[] = [
    ...costs.map(({ total }, index) => [`worker ${index + 1}`, total] as const),
    ...named.map(([name], index) => [name, (after[index] ?? 0) - (before.cpuUs[index] ?? 0)] as const),
    ['the benchmark itself', own.user + own.system],
  ];
  const ours = takenUs.reduce((sum, [, us]) => sum + us, 0);
  const busyUs = machine.busy - before.machine.busy;
  const cores = [
    ...takenUs,
    ['everything else here', Math.max(0, busyUs - ours)] as const,
    ['nobody', machine.idle - before.machine.idle] as const,
  ].map(([what, us]) => ({ what: `cores used by ${what}`, value: us / elapsedUs, unit: 'cores' }));
  const perSecond = { what: 'throughput', value: (events * 1_000_000) / elapsedUs, unit: 'events/s' };
  return { total: elapsedUs, asides: [perSecond, ...cores] };
}
