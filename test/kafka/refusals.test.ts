import kafkajs from 'kafkajs';
import t from 'tap';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { heardLogger } from '../../tools/suite-logs.ts';
import { makeRecord, offsetsOf, Reader, until } from '../support/event-log.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { newPrefix, openLogOn } from '../support/kafka-log.ts';
import { createTopic } from '../support/kafka-topic.ts';

const hosts = await kafkaHosts();

async function adminOf(): Promise<kafkajs.Admin> {
  const client = new kafkajs.Kafka({ brokers: hosts.split(','), logLevel: kafkajs.logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  t.teardown(() => admin.disconnect());
  return admin;
}

void t.test('a record that is too large for Kafka rejects its append, and nothing else', async (t) => {
  const log = await openLogOn(t, hosts);
  const small = () => makeRecord({ key: 'abc' });
  const large = () => makeRecord({ key: 'abc', value: Buffer.alloc(1_200_000, 'x') });
  const before = log.append([small(), small()]);
  const refused = log.append([large()]);
  const after = Array.from({ length: 20 }, () => log.append([small()]));
  await t.rejects(refused, { name: 'RangeError', message: /1200\d{3} bytes, .*larger than/ });
  await before;
  await Promise.all(after);
  const reader = new Reader('all', [INGESTION_TOPIC]);
  await log.subscribe(reader);
  await until(() => reader.records.length >= 22);
  t.same(
    offsetsOf(reader.records),
    Array.from({ length: 22 }, (_, index) => index),
  );
});

void t.test('appends past the bound of the queue are refused, and written none of', async (t) => {
  const log = await openLogOn(t, hosts, { limits: { queueBytesMax: 100_000 } });
  const value = Buffer.alloc(1_000, 'x');
  const results = await Promise.allSettled(
    Array.from({ length: 300 }, () => log.append([makeRecord({ value, key: 'abc' })])),
  );
  const refused = results.filter(({ status }) => status === 'rejected');
  t.ok(refused.length >= 150, `${refused.length} of 300`);
  for (const result of refused) {
    if (result.status === 'rejected') t.match(result.reason, { name: 'LogFullError' });
  }
  const offsets = await log.offsets(INGESTION_TOPIC);
  t.equal(offsets[3]?.end, 300 - refused.length);
  await log.append([makeRecord({ value })]);
});

void t.test('topics that are there keep their number of partitions', async (t) => {
  const prefix = newPrefix();
  await openLogOn(t, hosts, { prefix, partitions: 2 });
  const log = await openLogOn(t, hosts, { prefix, partitions: 5 });
  t.equal(await log.partitionCount(INGESTION_TOPIC), 2);
});

void t.test('topics that would spoil records are refused with what to set', async (t) => {
  const prefix = newPrefix();
  const admin = await adminOf();
  await createTopic(admin, {
    topic: `${prefix}${INGESTION_TOPIC}`,
    numPartitions: 1,
    configEntries: [
      { name: 'message.timestamp.type', value: 'LogAppendTime' },
      { name: 'max.message.bytes', value: '500000' },
    ],
  });
  await t.rejects(
    openLogOn(t, hosts, { prefix }),
    /set message.timestamp.type=CreateTime[\s\S]*max.message.bytes=\d/,
  );
});

void t.test('a topic that refuses records of times to come is warned of, with what to run', async (t) => {
  const prefix = newPrefix();
  const admin = await adminOf();
  const configEntries = [{ name: 'message.timestamp.after.max.ms', value: '3600000' }];
  await createTopic(admin, { topic: `${prefix}${INGESTION_TOPIC}`, numPartitions: 1, configEntries });
  const warnings: Readonly<Record<string, unknown>>[] = [];
  const logger = heardLogger({ warn: (fields) => void warnings.push({ ...fields }) });
  await openLogOn(t, hosts, { prefix, logger });
  t.match(warnings, [
    {
      topic: `${prefix}${INGESTION_TOPIC}`,
      run: new RegExp(
        `kafka-configs.sh .*--entity-name ${prefix}${INGESTION_TOPIC} --add-config message.timestamp.after.max.ms=9`,
      ),
    },
  ]);
  t.equal(warnings.length, 1, 'not of those that we made');
});

void t.test('topics that may not be made come with the commands that make them', async (t) => {
  await t.rejects(
    openLogOn(t, hosts, { prefix: `not allowed/${newPrefix()}` }),
    /kafka-topics.sh --bootstrap-server \S+ --create --topic not allowed.*events_plugin_ingestion --partitions 4/,
  );
});

void t.test('a broker that is not there is named', async (t) => {
  await t.rejects(openLogOn(t, '127.0.0.1:1'), /Kafka at 127.0.0.1:1: /);
});
