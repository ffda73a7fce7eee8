/** What an operator does to topics behind the system's back. */
import { LIMITS } from '../../src/limits.ts';
import { createClient } from '../../src/storage/kafka/connect.ts';
import { plainConnection } from '../../tools/kafka/connection.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const adminOf = (hosts: string) => createClient(plainConnection(hosts), LIMITS.kafka, quietLogger).admin();

/** What retention does: records below `offset` are gone. */
export async function deleteRecords(
  hosts: string,
  topic: string,
  partition: number,
  offset: number,
): Promise<void> {
  const admin = adminOf(hosts);
  await admin.connect();
  try {
    // kafkajs deletes only from topics that it has heard of.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
  } finally {
    await admin.disconnect();
  }
}

/** Deletes the topic and makes it again, empty. */
export async function makeTopicAnew(hosts: string, topic: string, numPartitions: number): Promise<void> {
  const admin = adminOf(hosts);
  await admin.connect();
  try {
    await admin.deleteTopics({ topics: [topic] });
    // The broker deletes it in the background. It may make it and say that it has not.
    for (let tries = 0; ; tries++) {
      await admin
        .createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }], waitForLeaders: false })
        .catch(() => {});
      const offsets = await admin.fetchTopicOffsets(topic).catch(() => []);
      if (offsets.length === numPartitions && offsets.every(({ high }) => high === '0')) return;
      if (tries > 50) throw new Error(`the topic ${topic} cannot be made anew`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  } finally {
    await admin.disconnect();
  }
}
