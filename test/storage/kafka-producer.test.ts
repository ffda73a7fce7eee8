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

void t.test(
  'a partition has one batch in a request, and every record the offset that append says',
  async (t) => {
    const limits = { ...LIMITS.kafka, batchBytesMax: 1_000, requestBytesMax: 4_000 };
    const logs = new Map<number, string[]>();
    const tooLarge: number[] = [];
    const producer = new Producer({
      send: async (topicMessages: TopicMessages[]) => {
        const written = new Map<number, number>();
        for (const { key, partition = 0 } of topicMessages.flatMap(({ messages }) => messages)) {
          const log = logs.get(partition) ?? [];
          logs.set(partition, log);
          if (!written.has(partition)) written.set(partition, log.length);
          log.push(String(key));
        }
        for (const [partition, from] of written) {
          const records = (logs.get(partition)?.length ?? 0) - from;
          if (100 * records > limits.batchBytesMax) tooLarge.push(records);
        }
        return [...written].map(([partition, from]) => ({
          topicName: INGESTION_TOPIC,
          partition,
          errorCode: 0,
          baseOffset: String(from),
        }));
      },
      onSent: () => {},
      onFailure: (error) => t.fail(String(error)),
      clock: systemClock,
      limits,
      metrics: kafkaMetrics(new Metrics()),
    });
    t.teardown(() => producer.close());
    const records = Array.from({ length: 200 }, (_, n) => ({
      ...placed(n % 3),
      record: makeRecord({ key: String(n), value: 'x'.repeat(100) }),
    }));
    const positions = await producer.append(records);
    t.same(tooLarge, []);
    for (const [n, { partition, offset }] of positions.entries()) {
      if (logs.get(partition)?.[offset] === String(n)) continue;
      t.fail(`record ${n} is not at ${offset}`);
      return;
    }
  },
);
