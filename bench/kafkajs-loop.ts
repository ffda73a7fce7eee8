/**
 * The bare loop, in a process of its own: consume, parse the envelope and the event in it, stringify a row, produce.
 * It fetches and produces in batches as large as the worker's. `kafkajs-loop.ts '<KafkaPlace as JSON>'`
 */
import kafkajs, { type EachBatchPayload, type Message } from 'kafkajs';
import { LIMITS } from '../src/limits.ts';
import { INGESTION_TOPIC } from '../src/storage/topics.ts';
import { FLOOR_ROWS, type KafkaPlace } from './kafka.ts';
import { obey } from './measured-child.ts';

const { hosts, prefix }: KafkaPlace = JSON.parse(process.argv[2] ?? '');
const { fetchWaitMs, fetchPartitionBytesMax, fetchBytesMax, heartbeatEveryMs } = LIMITS.kafka;
const { appendRecordsMax, progressEveryMs } = LIMITS.worker;
const topic = `${prefix}${INGESTION_TOPIC}`;

const kafka = new kafkajs.Kafka({
  brokers: [hosts],
  clientId: 'floor',
  logLevel: kafkajs.logLevel.ERROR,
});
const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
const consumer = kafka.consumer({
  groupId: `${prefix}floor`,
  heartbeatInterval: heartbeatEveryMs,
  maxWaitTimeInMs: fetchWaitMs,
  maxBytesPerPartition: fetchPartitionBytesMax,
  maxBytes: fetchBytesMax,
});

let rows: Message[] = [];

async function eachBatch({ batch }: EachBatchPayload): Promise<void> {
  for (const { value } of batch.messages) {
    if (value === null) continue;
    rows.push(rowOf(value));
    // Full batches only: a round has a multiple of them.
    if (rows.length < appendRecordsMax) continue;
    const full = rows;
    rows = [];
    await producer.send({ topic: `${prefix}${FLOOR_ROWS}`, messages: full });
  }
}

/** The columns that every row has, of the event and nobody else. */
function rowOf(value: Buffer): Message {
  const { data, uuid, distinct_id, ip, now, event, timestamp } = JSON.parse(value.toString());
  const { properties } = JSON.parse(data);
  const row = {
    uuid,
    event,
    properties: JSON.stringify({ ...properties, $ip: ip }),
    timestamp,
    team_id: 1,
    distinct_id,
    elements_chain: '',
    created_at: now,
  };
  return { key: uuid, value: JSON.stringify(row) };
}

await Promise.all([producer.connect(), consumer.connect()]);
await consumer.subscribe({ topics: [topic], fromBeginning: true });
const joined = new Promise<void>((resolve) => {
  consumer.on(consumer.events.GROUP_JOIN, () => resolve());
});
await consumer.run({ autoCommitInterval: progressEveryMs, eachBatch });
await joined;
consumer.pause([{ topic }]);
obey({}, { onBegin: () => consumer.resume([{ topic }]), onEnd: () => consumer.pause([{ topic }]) });
