/** Opens a log with the connection given as JSON and a prefix, appends one record, says where it is or what failed. */
import { systemClock } from '../../src/clock.ts';
import { Metrics } from '../../src/metrics.ts';
import { openKafkaLog } from '../../src/storage/kafka/log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { makeRecord, Reader, until } from './event-log.ts';

const [connection = '', prefix = ''] = process.argv.slice(2);
try {
  const log = await openKafkaLog({
    connection: JSON.parse(connection),
    prefix,
    partitions: 2,
    clock: systemClock,
    logger: quietLogger,
    metrics: new Metrics(),
  });
  const [position] = await log.append([makeRecord({ key: 'abc' })]);
  const reader = new Reader('secure', [INGESTION_TOPIC]);
  await log.subscribe(reader);
  await until(() => reader.records.length > 0);
  await log.close();
  console.log(`read ${position?.partition} ${position?.offset}`);
} catch (error) {
  console.log(error instanceof Error ? error.message : error);
}
