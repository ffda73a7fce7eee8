import type { TopicMessages } from 'kafkajs';
import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { LIMITS } from '../../src/limits.ts';
import { Metrics } from '../../src/metrics.ts';
import { LogUnavailableError } from '../../src/storage/event-log.ts';
import { kafkaMetrics } from '../../src/storage/kafka/kafka-metrics.ts';
import type { PlacedRecord } from '../../src/storage/kafka/message.ts';
import { Producer } from '../../src/storage/kafka/producer.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { makeRecord } from '../support/event-log.ts';

const placed = (partition: number): PlacedRecord => ({
  record: makeRecord(),
  topicName: INGESTION_TOPIC,
  partition,
});

void t.test(
  'a record that kafkajs left out is not acknowledged, and sent again until it is written',
  async (t) => {
    const partitions = [0];
    const sent: number[] = [];
    const failures: string[] = [];
    const producer = new Producer({
      // As kafkajs does: what is for a partition that it does not find is not sent, and there is no error.
      send: async (topicMessages: TopicMessages[]) => {
        const wanted = topicMessages.flatMap(({ messages }) =>
          messages.map(({ partition = 0 }) => partition),
        );
        sent.push(...wanted);
        return wanted
          .filter((partition) => partitions.includes(partition))
          .map((partition) => ({ topicName: INGESTION_TOPIC, partition, errorCode: 0, baseOffset: '7' }));
      },
      onSent: () => {},
      onFailure: (error) => failures.push(String(error)),
      clock: systemClock,
      limits: { ...LIMITS.kafka, appendTimeoutMs: 500 },
      metrics: kafkaMetrics(new Metrics()),
    });
    t.teardown(() => producer.close());
    t.same(await producer.append([placed(0)]), [{ partition: 0, offset: 7 }]);
    await t.rejects(producer.append([placed(0), placed(3)]), LogUnavailableError);
    t.match(failures[0], /no partition 3 of events_plugin_ingestion/);
    t.equal(sent.filter((partition) => partition === 0).length, 2, 'what was written is not sent again');

    const late = producer.append([placed(3)]);
    partitions.push(3);
    t.same(await late, [{ partition: 3, offset: 7 }]);
  },
);
