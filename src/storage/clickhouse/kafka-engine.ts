/**
 * ClickHouse reads the topics itself, as in PostHog: for each table a Kafka table, a view that moves its rows into the
 * table, and a view that moves what does not parse into the dead letters. Both views are made before the Kafka table:
 * ClickHouse begins to read once a view hangs on it, and a view that came later would miss what was read before.
 */
import { RECORD_NAMESPACE } from '../../ids.ts';
import { LIMITS } from '../../limits.ts';
import { CLICKHOUSE_TOPICS, type ClickHouseTopic, INGESTION_TOPIC } from '../topics.ts';
import { quote } from './connect.ts';
import type { ClickHouseMigration } from './migrate.ts';
import { CLICKHOUSE_TABLES, type ClickHouseTable, hasPartitionColumn } from './tables.ts';

export interface KafkaEngineOptions {
  /** `host:port` of brokers, as ClickHouse reaches them. */
  readonly hosts: readonly string[];
  /** Stands before the names of topics and consumer groups. */
  readonly prefix: string;
}

/** `error_location` of the dead letters that ClickHouse makes itself. */
export const ENGINE_STAGE = 'kafka-engine';

type Columns = Readonly<Record<string, string>>;

const TEXT = 'String';
const MICROS = "DateTime64(6, 'UTC')";
const MILLIS = "DateTime64(3, 'UTC')";

/** The fields of the rows on the topics, with the types of the tables' columns. */
const COLUMNS: Readonly<Record<ClickHouseTable, Columns>> = {
  events: {
    uuid: 'UUID',
    event: TEXT,
    properties: TEXT,
    timestamp: MICROS,
    team_id: 'Int64',
    distinct_id: TEXT,
    elements_chain: TEXT,
    created_at: MICROS,
    person_id: 'UUID',
    person_created_at: MILLIS,
    person_properties: TEXT,
    group0_properties: TEXT,
    group1_properties: TEXT,
    group2_properties: TEXT,
    group3_properties: TEXT,
    group4_properties: TEXT,
    group0_created_at: MILLIS,
    group1_created_at: MILLIS,
    group2_created_at: MILLIS,
    group3_created_at: MILLIS,
    group4_created_at: MILLIS,
    person_mode: "Enum8('full' = 0, 'propertyless' = 1, 'force_upgrade' = 2)",
    historical_migration: 'Bool',
  },
  person: {
    id: 'UUID',
    created_at: MILLIS,
    team_id: 'Int64',
    properties: TEXT,
    is_identified: 'Int8',
    is_deleted: 'Int8',
    version: 'UInt64',
  },
  person_distinct_id2: {
    team_id: 'Int64',
    distinct_id: TEXT,
    person_id: 'UUID',
    is_deleted: 'Int8',
    version: 'Int64',
  },
  groups: {
    group_type_index: 'UInt8',
    group_key: TEXT,
    created_at: MILLIS,
    team_id: 'Int64',
    group_properties: TEXT,
    version: 'UInt64',
  },
  ingestion_warnings: {
    team_id: 'Int64',
    source: 'LowCardinality(String)',
    type: TEXT,
    details: TEXT,
    timestamp: MICROS,
  },
  events_dead_letter_queue: {
    id: 'UUID',
    event_uuid: 'UUID',
    event: TEXT,
    properties: TEXT,
    distinct_id: TEXT,
    team_id: 'Int64',
    elements_chain: TEXT,
    created_at: MICROS,
    ip: TEXT,
    site_url: TEXT,
    now: MICROS,
    raw_payload: TEXT,
    error_timestamp: MICROS,
    error_location: TEXT,
    error: TEXT,
    tags: 'Array(String)',
  },
};

const RECORD: Columns = { _timestamp: 'DateTime', _offset: 'UInt64' };

/** What the names of PostHog's Kafka tables and views are made of. */
const baseOf = (table: ClickHouseTable): string => (table === 'events' ? 'events_json' : table);

/** What has to run, in this order; each changes nothing the second time, nor when hosts or prefix are others now. */
export function kafkaEngineStatements(options: KafkaEngineOptions): readonly ClickHouseMigration[] {
  return CLICKHOUSE_TOPICS.flatMap((topic) => {
    const table = CLICKHOUSE_TABLES[topic];
    const base = baseOf(table);
    return [
      { name: `${base}_mv`, sql: rowsView(table) },
      { name: `${base}_refused_mv`, sql: refusedView(topic) },
      { name: `kafka_${base}`, sql: kafkaTable(topic, options) },
    ];
  });
}

function kafkaTable(topic: ClickHouseTopic, { hosts, prefix }: KafkaEngineOptions): string {
  const { consumersPerTable, blockRowsMax, flushIntervalMs } = LIMITS.kafkaEngine;
  const table = CLICKHOUSE_TABLES[topic];
  return `CREATE TABLE IF NOT EXISTS kafka_${baseOf(table)} (${definitions(COLUMNS[table])})
ENGINE = Kafka
SETTINGS
    kafka_broker_list = ${quote(hosts.join(','))},
    kafka_topic_list = ${quote(`${prefix}${topic}`)},
    kafka_group_name = ${quote(`${prefix}tributary-clickhouse-${table}`)},
    kafka_format = 'JSONEachRow',
    kafka_handle_error_mode = 'stream',
    kafka_num_consumers = ${consumersPerTable},
    kafka_max_block_size = ${blockRowsMax},
    kafka_flush_interval_ms = ${flushIntervalMs},
    input_format_skip_unknown_fields = 0,
    input_format_null_as_default = 0,
    date_time_input_format = 'basic'`;
}

function rowsView(table: ClickHouseTable): string {
  const from = `kafka_${baseOf(table)}`;
  const withPartition = hasPartitionColumn(table);
  const columns = { ...COLUMNS[table], ...RECORD, ...(withPartition ? { _partition: 'UInt64' } : {}) };
  // A record without a time gives a null, which the column cannot take.
  const values = Object.keys(columns).map((name) =>
    name === '_timestamp' ? `ifNull(${from}._timestamp, toDateTime(0)) AS _timestamp` : name,
  );
  return view(`${baseOf(table)}_mv`, table, columns, values, `${from} WHERE length(_error) = 0`);
}

const LETTERS = 'events_dead_letter_queue';

/** The columns of `deadLetterOf` of the loader, by ClickHouse's means. */
function refusedView(topic: ClickHouseTopic): string {
  const { eventNameCharsMax } = LIMITS.capture;
  const base = baseOf(CLICKHOUSE_TABLES[topic]);
  const source = `concat(${quote(`${topic}:`)}, toString(_partition), ':', toString(_offset))`;
  const origin = "_headers.value[indexOf(_headers.name, 'source')]";
  const text = (field: string) =>
    `substringUTF8(JSONExtractString(_raw_message, '${field}'), 1, ${eventNameCharsMax})`;
  const values: Readonly<Record<string, string>> = {
    id: recordUuid(source),
    event_uuid: "toUUIDOrZero(JSONExtractString(_raw_message, 'uuid'))",
    event: text('event'),
    properties: "'{}'",
    distinct_id: text('distinct_id'),
    team_id: "if(JSONType(_raw_message, 'team_id') = 'Int64', JSONExtractInt(_raw_message, 'team_id'), 0)",
    elements_chain: "''",
    created_at: "now64(6, 'UTC')",
    ip: "''",
    site_url: "''",
    now: "now64(6, 'UTC')",
    raw_payload: rawPayload('_raw_message'),
    error_timestamp: "now64(6, 'UTC')",
    error_location: quote(ENGINE_STAGE),
    error: "'refused_by_clickhouse'",
    tags: `arrayConcat([${source}, substringUTF8(_error, 1, ${LIMITS.loader.refusalCharsMax})],
        if(${origin} = '', [], [concat('${INGESTION_TOPIC}:', ${origin})]))`,
    _timestamp: 'now()',
    _offset: '_offset',
  };
  const columns = { ...COLUMNS[LETTERS], ...RECORD };
  const selected = Object.keys(columns).map((name) => `${values[name]} AS ${name}`);
  return view(`${base}_refused_mv`, LETTERS, columns, selected, `kafka_${base} WHERE length(_error) > 0`);
}

function view(
  name: string,
  table: ClickHouseTable,
  columns: Columns,
  values: readonly string[],
  from: string,
): string {
  // The setting lets a view be made before what it reads from; then it has to be told its columns.
  return `CREATE MATERIALIZED VIEW IF NOT EXISTS ${name} TO ${table} (${definitions(columns)})
AS SELECT
    ${values.join(',\n    ')}
FROM ${from}
SETTINGS allow_materialized_view_with_bad_select = 1`;
}

const definitions = (columns: Columns): string =>
  Object.entries(columns)
    .map(([name, type]) => `${name} ${type}`)
    .join(', ');

/** `deriveRecordUuid`: a UUID of version 5. */
function recordUuid(source: string): string {
  const namespace = RECORD_NAMESPACE.replaceAll('-', '');
  const hash = `lower(hex(SHA1(concat(unhex('${namespace}'), ${source}))))`;
  const variant = `['8', '9', 'a', 'b'][(position('0123456789abcdef', substring(${hash}, 17, 1)) - 1) % 4 + 1]`;
  const parts = [`substring(${hash}, 1, 12)`, "'5'", `substring(${hash}, 14, 3)`, variant];
  return `toUUID(concat(${parts.join(', ')}, substring(${hash}, 18, 15)))`;
}

/** `rawPayload`: a character that the cut has split is left out. */
function rawPayload(raw: string): string {
  const { deadLetterPayloadBytesMax } = LIMITS.worker;
  const cut = `substring(${raw}, 1, ${deadLetterPayloadBytesMax})`;
  const cuts = [0, 1, 2, 3].map((less) => `substring(${raw}, 1, ${deadLetterPayloadBytesMax - less})`);
  return `if(isValidUTF8(${raw}), arrayFirst(text -> isValidUTF8(text), [${cuts.join(', ')}]),
        concat('base64:', base64Encode(${cut})))`;
}
