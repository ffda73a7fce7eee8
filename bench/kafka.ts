/** A real Kafka for the length of one benchmark, and logs on it. */
import { systemClock } from '../src/clock.ts';
import { silentLogger } from '../src/logger.ts';
import { Metrics } from '../src/metrics.ts';
import type { Parts } from '../src/parts.ts';
import type { AppendRecord, EventLog } from '../src/storage/event-log.ts';
import { openKafkaLog } from '../src/storage/kafka/log.ts';
import type { Topic } from '../src/storage/topics.ts';
import { type KafkaBroker, startKafka } from '../tools/kafka/broker.ts';
import { plainConnection } from '../tools/kafka/connection.ts';
import { newRunFolder, removeFolder } from '../tools/kafka/folder.ts';

export { kafkaMissing } from '../tools/kafka/broker.ts';

/** Where a log is on Kafka. */
export interface KafkaPlace {
  readonly hosts: string;
  readonly prefix: string;
  readonly partitions: number;
}

/** Where a floor puts its rows: a topic that the worker has no use for here. */
export const FLOOR_ROWS: Topic = 'clickhouse_groups';

/** So that no append takes too long. */
const APPEND_RECORDS = 2_000;

export async function startBroker(parts: Parts): Promise<KafkaBroker> {
  const dir = await parts.start('folder of Kafka', newRunFolder, removeFolder);
  return parts.start(
    'Kafka',
    () => startKafka({ dir }),
    (broker) => broker.kill(),
  );
}

export function openLogOnKafka(parts: Parts, { hosts, prefix, partitions }: KafkaPlace): Promise<EventLog> {
  return parts.start(
    'log on Kafka',
    () =>
      openKafkaLog({
        connection: plainConnection(hosts),
        prefix,
        partitions,
        clock: systemClock,
        logger: silentLogger,
        metrics: new Metrics(),
      }),
    (log) => log.close(),
  );
}

export async function appendAll(log: EventLog, records: readonly AppendRecord[]): Promise<void> {
  for (let start = 0; start < records.length; start += APPEND_RECORDS) {
    await log.append(records.slice(start, start + APPEND_RECORDS));
  }
}
