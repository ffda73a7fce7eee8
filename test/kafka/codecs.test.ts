import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import t from 'tap';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { byPartition, makeRecord, Reader, until } from '../support/event-log.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { newPrefix, openLogOn } from '../support/kafka-log.ts';
import { createTopic } from '../support/kafka-topic.ts';

const { GZIP, Snappy, LZ4, ZSTD } = kafkajs.CompressionTypes;
const CODECS = [
  ['gzip', GZIP],
  ['snappy', Snappy],
  ['lz4', LZ4],
  ['zstd', ZSTD],
] as const;

const hosts = await kafkaHosts();

/** A topic with a codec of its own makes the broker, which is in Java, compress what it is given. */
for (const [codec, type] of CODECS) {
  void t.test(`what Java compressed with ${codec} is read byte for byte`, async (t) => {
    const prefix = newPrefix();
    const client = new kafkajs.Kafka({ brokers: hosts.split(','), logLevel: kafkajs.logLevel.NOTHING });
    const admin = client.admin();
    t.teardown(() => admin.disconnect());
    await admin.connect();
    await createTopic(admin, {
      topic: `${prefix}${INGESTION_TOPIC}`,
      numPartitions: 1,
      configEntries: [
        { name: 'compression.type', value: codec },
        { name: 'message.timestamp.after.max.ms', value: String(Number.MAX_SAFE_INTEGER) },
      ],
    });
    const log = await openLogOn(t, hosts, { prefix });
    const given = [
      makeRecord({ key: 'empty', value: '' }),
      makeRecord({ key: 'text', value: '{"event":"$pageview"}'.repeat(20_000), headers: { token: 'phc_ü' } }),
      makeRecord({ key: 'noise', value: randomBytes(300_000) }),
      ...Array.from({ length: 500 }, (_, index) => makeRecord({ value: `{"event":"number ${index}"}` })),
    ];
    const positions = await log.append(given);
    await log.append([makeRecord({ key: 'alone', value: randomBytes(3) })]);
    const reader = new Reader('codec', [INGESTION_TOPIC]);
    await log.subscribe(reader);
    await until(() => reader.records.length >= given.length + 1);
    const expected = given.map((record, index) => ({
      ...record,
      value: Buffer.from(record.value),
      partition: 0,
      offset: positions[index]?.offset ?? -1,
    }));
    t.same(byPartition(reader.records.slice(0, given.length)), byPartition(expected));
    await t.resolves(meetsCodec(client, `${prefix}${INGESTION_TOPIC}`, type), 'it was indeed compressed');
  });
}

/** Resolves when a batch of the topic needs the codec. */
async function meetsCodec(
  client: kafkajs.Kafka,
  topic: string,
  type: keyof typeof kafkajs.CompressionCodecs,
): Promise<void> {
  const consumer = client.consumer({ groupId: `${topic}-codec` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const codec = kafkajs.CompressionCodecs[type]();
  await new Promise<void>((resolve) => {
    const decompress = (data: Buffer) => {
      resolve();
      return codec.decompress(data);
    };
    kafkajs.CompressionCodecs[type] = () => ({ ...codec, decompress });
    void consumer.run({ eachMessage: () => Promise.resolve() });
  });
  await consumer.disconnect();
}
