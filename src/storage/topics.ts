/** Topic names, as PostHog has them. */

export const INGESTION_TOPIC = 'events_plugin_ingestion';

/** What the worker writes and ClickHouse reads; each goes into the table of `CLICKHOUSE_TABLES`. */
export const CLICKHOUSE_TOPICS = [
  'clickhouse_events_json',
  'clickhouse_person',
  'clickhouse_person_distinct_id',
  'clickhouse_groups',
  'clickhouse_ingestion_warnings',
  'events_dead_letter_queue',
] as const;

export type ClickHouseTopic = (typeof CLICKHOUSE_TOPICS)[number];
export type Topic = typeof INGESTION_TOPIC | ClickHouseTopic;

export const TOPICS: readonly Topic[] = [INGESTION_TOPIC, ...CLICKHOUSE_TOPICS];
