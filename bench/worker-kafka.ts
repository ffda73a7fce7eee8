/** The process of a worker over a real Kafka, against a bare kafkajs loop; each reads the same records. */
import type { Parts } from '../src/parts.ts';
import type { Topic } from '../src/storage/topics.ts';
import type { Benchmark, Contest, Cost } from './benchmark.ts';
import { beside } from './beside.ts';
import { capturedRecord } from './events.ts';
import {
  appendAll,
  FLOOR_ROWS,
  type KafkaPlace,
  kafkaMissing,
  openLogOnKafka,
  startBroker,
} from './kafka.ts';
import { type MeasuredChild, startMeasuredChild } from './measured-child.ts';
import { ROWS } from './real-worker.ts';
import { createBenchProject, PARTITIONS, recordCount, startPostgres, tempDir, until } from './stores.ts';
import { PERSONS, visitOf } from './worker-contest.ts';
import type { WorkerOrder } from './worker-process.ts';

/** A multiple of what one request of the floor takes. */
const EVENTS = 10_000;
/** Asking Kafka how far they are takes time from those who are measured. */
const ASK_EVERY_MS = 50;

export const workerKafka: Benchmark = {
  name: 'worker-kafka',
  floor: 'kafkajs: consume, JSON.parse twice, JSON.stringify, produce, same batches',
  unit: 'µs',
  eventsPerRound: EVENTS,
  rounds: 6,
  missing: kafkaMissing,
  start: startContest,
};

async function startContest(parts: Parts): Promise<Contest> {
  const dir = await tempDir(parts);
  const [broker, postgres] = await Promise.all([startBroker(parts), startPostgres(parts, dir)]);
  await createBenchProject(postgres.postgres);
  const kafka: KafkaPlace = { hosts: broker.hosts, prefix: '', partitions: PARTITIONS };
  const log = await openLogOnKafka(parts, kafka);
  const order: WorkerOrder = { kafka, databaseUrl: postgres.postgres.url, partitions: PARTITIONS };
  const ours = await startMeasuredChild(parts, 'worker-process.ts', JSON.stringify(order));
  const floor = await startMeasuredChild(parts, 'kafkajs-loop.ts', JSON.stringify(kafka));

  const take = (child: MeasuredChild, rows: Topic, events: number) => async (): Promise<Cost> => {
    const end = (await recordCount(log, rows)) + events;
    await child.begin();
    await until(async () => (await recordCount(log, rows)) >= end, ASK_EVERY_MS);
    return child.end();
  };
  const append = (events: number, round: number) =>
    appendAll(
      log,
      Array.from({ length: events }, (_, index) => capturedRecord(visitOf(index, round))),
    );

  // Every person once, so that all of them are known and in memory.
  await append(PERSONS, 0);
  await take(ours, ROWS, PERSONS)();
  await take(floor, FLOOR_ROWS, PERSONS)();

  let round = 1;
  return {
    prepare: () => append(EVENTS, round++),
    ours: () => beside({ Kafka: broker.pid, Postgres: postgres.pid }, EVENTS, take(ours, ROWS, EVENTS)),
    floor: () => beside({ Kafka: broker.pid }, EVENTS, take(floor, FLOOR_ROWS, EVENTS)),
  };
}
