/** What the Kafka adapter counts. */
import type { Metrics } from '../../metrics.ts';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type KafkaMetrics = ReturnType<typeof kafkaMetrics>;

export function kafkaMetrics(metrics: Metrics) {
  return {
    produceSeconds: metrics.histogram(
      'tributary_kafka_produce_seconds',
      'Time of one produce request, failed ones too',
      SECONDS,
    ),
    producedRecords: metrics.counter('tributary_kafka_produced_records_total', 'Records that Kafka took', [
      'topic',
    ]),
    producedBytes: metrics.counter(
      'tributary_kafka_produced_bytes_total',
      'Bytes of records that Kafka took',
      ['topic'],
    ),
    produceFailures: metrics.counter(
      'tributary_kafka_produce_failures_total',
      'Batches that Kafka did not take at once',
    ),
    queueBytes: metrics.gauge('tributary_kafka_produce_queue_bytes', 'Bytes of appends that are under way'),
    commitSeconds: metrics.histogram(
      'tributary_kafka_commit_seconds',
      'Time until a commit was durable, retries included',
      SECONDS,
      ['group'],
    ),
    rebalances: metrics.counter(
      'tributary_kafka_rebalances_total',
      'Times that this process got its partitions dealt out',
      ['group'],
    ),
  };
}
