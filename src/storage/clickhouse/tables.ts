/** The ClickHouse tables that the loader fills, and the columns that it writes. */
import type { ClickHouseTopic } from '../topics.ts';

export const CLICKHOUSE_TABLES = {
  clickhouse_events_json: 'events',
  clickhouse_person: 'person',
  clickhouse_person_distinct_id: 'person_distinct_id2',
  clickhouse_groups: 'groups',
  clickhouse_ingestion_warnings: 'ingestion_warnings',
  events_dead_letter_queue: 'events_dead_letter_queue',
} as const satisfies Record<ClickHouseTopic, string>;

export type ClickHouseTable = (typeof CLICKHOUSE_TABLES)[ClickHouseTopic];

/** What a column must be able to take; `COLUMN_TYPES` has the ClickHouse types that can. */
export type ColumnKind = 'uuid' | 'text' | 'texts' | 'integer' | 'small' | 'time' | 'mode';

/** Tested against the type without `Nullable(…)` and `LowCardinality(…)`. */
export const COLUMN_TYPES: Readonly<Record<ColumnKind, RegExp>> = {
  uuid: /^(UUID|String)$/,
  text: /^String$/,
  texts: /^Array\(String\)$/,
  integer: /^U?Int(32|64)$/,
  small: /^(Bool|U?Int\d+)$/,
  time: /^DateTime(64)?(\(.*\))?$/,
  mode: /^(String|Enum(8|16)\(.*'full'.*'propertyless'.*\))$/,
};

type Columns = Readonly<Record<string, ColumnKind>>;

/** What the loader adds to every row: the record's time and offset. */
const RECORD: Columns = { _timestamp: 'time', _offset: 'integer' };

const DISTINCT_ID: Columns = {
  team_id: 'integer',
  distinct_id: 'text',
  person_id: 'uuid',
  is_deleted: 'small',
  version: 'integer',
  ...RECORD,
  _partition: 'integer',
};

/** The columns of each table that are written, by us or by our materialized view. */
export const WRITTEN_COLUMNS: Readonly<Record<ClickHouseTable | 'person_distinct_id_overrides', Columns>> = {
  events: {
    uuid: 'uuid',
    event: 'text',
    properties: 'text',
    timestamp: 'time',
    team_id: 'integer',
    distinct_id: 'text',
    elements_chain: 'text',
    created_at: 'time',
    person_id: 'uuid',
    person_created_at: 'time',
    person_properties: 'text',
    group0_properties: 'text',
    group1_properties: 'text',
    group2_properties: 'text',
    group3_properties: 'text',
    group4_properties: 'text',
    group0_created_at: 'time',
    group1_created_at: 'time',
    group2_created_at: 'time',
    group3_created_at: 'time',
    group4_created_at: 'time',
    person_mode: 'mode',
    historical_migration: 'small',
    ...RECORD,
  },
  person: {
    id: 'uuid',
    created_at: 'time',
    team_id: 'integer',
    properties: 'text',
    is_identified: 'small',
    is_deleted: 'small',
    version: 'integer',
    ...RECORD,
  },
  person_distinct_id2: DISTINCT_ID,
  person_distinct_id_overrides: DISTINCT_ID,
  groups: {
    group_type_index: 'small',
    group_key: 'text',
    created_at: 'time',
    team_id: 'integer',
    group_properties: 'text',
    version: 'integer',
    ...RECORD,
  },
  ingestion_warnings: {
    team_id: 'integer',
    source: 'text',
    type: 'text',
    details: 'text',
    timestamp: 'time',
    ...RECORD,
    _partition: 'integer',
  },
  events_dead_letter_queue: {
    id: 'uuid',
    event_uuid: 'uuid',
    event: 'text',
    properties: 'text',
    distinct_id: 'text',
    team_id: 'integer',
    elements_chain: 'text',
    created_at: 'time',
    ip: 'text',
    site_url: 'text',
    now: 'time',
    raw_payload: 'text',
    error_timestamp: 'time',
    error_location: 'text',
    error: 'text',
    tags: 'texts',
    ...RECORD,
  },
};

/** Whether the table keeps the record's partition beside its offset. */
export const hasPartitionColumn = (table: ClickHouseTable): boolean => '_partition' in WRITTEN_COLUMNS[table];
