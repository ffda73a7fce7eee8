/** The topics: made where they are missing, and looked at where they are there. */
import kafkajs, { type Admin } from 'kafkajs';
import { type Clock, sleep } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { TOPICS, type Topic } from '../topics.ts';
import type { KafkaLimits } from './connect.ts';

interface TopicsOptions {
  readonly admin: Admin;
  readonly prefix: string;
  /** Partitions of a topic that is made. */
  readonly partitions: number;
  readonly clock: Clock;
  readonly limits: KafkaLimits;
  readonly logger: Logger;
  readonly hosts: readonly string[];
}

const REPLICATION_BY_BROKER = -1;
/** Brokers before 3.6 do not know it, and refuse nothing for it. */
const AFTER_MAX = 'message.timestamp.after.max.ms';
const FOREVER_MS = '9223372036854775807';

/** Times of events are theirs, and may lie ahead of the broker's clock. */
function configOf({ messageBytesMin }: KafkaLimits): Record<string, string> {
  return {
    'message.timestamp.type': 'CreateTime',
    [AFTER_MAX]: FOREVER_MS,
    'max.message.bytes': String(messageBytesMin),
  };
}

/**
 * Number of partitions of every topic; one that was there keeps its own. Rejects with the commands to run where topics
 * are missing and may not be made, and with what to change where a topic would spoil or refuse records. Warns of topics
 * that refuse records of times to come.
 */
export async function prepareTopics(options: TopicsOptions): Promise<ReadonlyMap<Topic, number>> {
  const { admin, prefix } = options;
  const existing = new Set(await admin.listTopics());
  const missing = TOPICS.filter((topic) => !existing.has(prefix + topic));
  if (missing.length > 0) await createTopics(options, missing);
  const counts = await partitionCounts(options);
  await checkConfigs(options);
  return new Map(TOPICS.map((topic) => [topic, counts.get(prefix + topic) ?? 0]));
}

/** Waits until every partition has a leader that answers: new ones take a moment. */
async function partitionCounts({
  admin,
  prefix,
  clock,
  limits,
}: TopicsOptions): Promise<Map<string, number>> {
  const giveUpAt = clock.monotonic() + limits.topicsTimeoutMs;
  for (;;) {
    try {
      const topicNames = TOPICS.map((topic) => prefix + topic);
      const { topics } = await admin.fetchTopicMetadata({ topics: topicNames });
      for (const topicName of topicNames) await admin.fetchTopicOffsets(topicName);
      return new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
    } catch (error) {
      if (clock.monotonic() > giveUpAt) throw error;
      await sleep(clock, limits.retryBackoffMinMs);
    }
  }
}

async function createTopics(options: TopicsOptions, missing: readonly Topic[]): Promise<void> {
  const { admin, prefix, partitions, clock, limits, logger } = options;
  const configEntries = Object.entries(configOf(limits)).map(([name, value]) => ({ name, value }));
  try {
    await admin.createTopics({
      waitForLeaders: false,
      topics: missing.map((topic) => ({
        topic: prefix + topic,
        numPartitions: partitions,
        replicationFactor: REPLICATION_BY_BROKER,
        configEntries,
      })),
    });
    logger.info({ topics: missing.map((topic) => prefix + topic), partitions }, 'made topics');
  } catch (error) {
    await sleep(clock, limits.retryBackoffMaxMs);
    const existing = new Set(await admin.listTopics());
    const absent = missing.filter((topic) => !existing.has(prefix + topic));
    // Another process may have made them at the same time.
    if (absent.length > 0) throw new Error(missingText(options, absent, error));
  }
}

function missingText(options: TopicsOptions, absent: readonly Topic[], error: unknown): string {
  const { hosts, prefix, partitions, limits } = options;
  const settings = Object.entries(configOf(limits)).map(([name, value]) => `--config ${name}=${value}`);
  const commands = absent.map(
    (topic) =>
      `  kafka-topics.sh --bootstrap-server ${hosts[0]} --create --topic ${prefix}${topic} ` +
      `--partitions ${partitions} ${settings.join(' ')}`,
  );
  const reason = hasErrors(error) ? error.errors[0] : error;
  return `Kafka has no topics for this, and did not let them be made (${reason}). Run:\n${commands.join('\n')}`;
}

function hasErrors(error: unknown): error is { readonly errors: readonly unknown[] } {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

async function checkConfigs({ admin, prefix, limits, logger, hosts }: TopicsOptions): Promise<void> {
  const wanted = configOf(limits);
  let described: Awaited<ReturnType<Admin['describeConfigs']>>['resources'];
  try {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: TOPICS.map((topic) => ({
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: prefix + topic,
        configNames: Object.keys(wanted),
      })),
    });
    described = resources;
  } catch (error) {
    logger.warn({ error: String(error) }, 'the settings of the topics cannot be read: taken for good');
    return;
  }
  const faults = described.flatMap(({ resourceName, configEntries }) =>
    faultsOf(configEntries, limits).map((setting) => `  ${resourceName}: set ${setting}`),
  );
  if (faults.length > 0) {
    throw new Error(
      `Topics would spoil or refuse records (change them with kafka-configs.sh):\n${faults.join('\n')}`,
    );
  }
  for (const { resourceName, configEntries } of described) {
    const afterMaxMs = configEntries.find(({ configName }) => configName === AFTER_MAX)?.configValue;
    if (afterMaxMs === undefined || Number(afterMaxMs) >= Number(FOREVER_MS)) continue;
    const run =
      `kafka-configs.sh --bootstrap-server ${hosts[0]} --alter --entity-type topics ` +
      `--entity-name ${resourceName} --add-config ${AFTER_MAX}=${FOREVER_MS}`;
    logger.warn(
      { topic: resourceName, afterMaxMs: Number(afterMaxMs), run },
      'this topic refuses records whose time is further ahead of the broker than that',
    );
  }
}

function faultsOf(
  entries: readonly { configName: string; configValue: string }[],
  { messageBytesMin }: KafkaLimits,
): string[] {
  const values = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
  const faults: string[] = [];
  if ((values.get('message.timestamp.type') ?? 'CreateTime') !== 'CreateTime') {
    faults.push('message.timestamp.type=CreateTime');
  }
  if (Number(values.get('max.message.bytes') ?? messageBytesMin) < messageBytesMin) {
    faults.push(`max.message.bytes=${messageBytesMin}`);
  }
  return faults;
}
