/** Makes topics for tests of what brokers do. */
import type { Admin, ITopicConfig } from 'kafkajs';
import { until } from './event-log.ts';

/** Resolves once the broker knows it. kafkajs' own way of waiting fails where it asks too early. */
export async function createTopic(admin: Admin, config: ITopicConfig): Promise<void> {
  await admin.createTopics({ topics: [config], waitForLeaders: false });
  await until(async () => (await admin.listTopics()).includes(config.topic));
}
