/** Logs on Kafka for tests. */
import { randomUUID } from 'node:crypto';
import type { Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import { Metrics } from '../../src/metrics.ts';
import type { EventLog } from '../../src/storage/event-log.ts';
import { type KafkaLogOptions, openKafkaLog } from '../../src/storage/kafka/log.ts';
import { plainConnection } from '../../tools/kafka/connection.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

/** Topics and groups of one test begin with it. */
export function newPrefix(): string {
  return `${randomUUID()}-`;
}

export async function openLogOn(
  t: Test,
  hosts: string,
  options: Partial<KafkaLogOptions> = {},
): Promise<EventLog> {
  const log = await openKafkaLog({
    connection: plainConnection(hosts),
    prefix: newPrefix(),
    partitions: 4,
    clock: systemClock,
    logger: quietLogger,
    metrics: new Metrics(),
    ...options,
  });
  t.teardown(() => log.close());
  return log;
}
