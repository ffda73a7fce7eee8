import { systemClock } from '../../src/clock.ts';
import { Metrics } from '../../src/metrics.ts';
import { openKafkaLog } from '../../src/storage/kafka/log.ts';
import { plainConnection } from '../../tools/kafka/connection.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { eventLogContract } from '../contract/event-log.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { newPrefix } from '../support/kafka-log.ts';

const hosts = await kafkaHosts();

eventLogContract('kafka', async (partitions) => {
  const prefix = newPrefix();
  const open = () =>
    openKafkaLog({
      connection: plainConnection(hosts),
      prefix,
      partitions,
      clock: systemClock,
      logger: quietLogger,
      metrics: new Metrics(),
    });
  let log = await open();
  return {
    log,
    async reopen() {
      await log.close();
      log = await open();
      return log;
    },
    dispose: () => log.close(),
  };
});
