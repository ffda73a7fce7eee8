/** What torture reads from the log: events as capture wrote them, and what a worker made of them. */
import type { LogRecord } from '../../src/storage/event-log.ts';
import type { Topic } from '../../src/storage/topics.ts';
import { objectOf } from './torture-json.ts';

export const ROWS: Topic = 'clickhouse_events_json';
export const DEAD_LETTERS: Topic = 'events_dead_letter_queue';

/** `<partition>:<offset>` of a record of `events_plugin_ingestion`. */
export type Source = string;

/** An event as capture wrote it. */
export interface Ingested {
  readonly source: Source;
  readonly partition: number;
  readonly offset: number;
  readonly uuid: string;
  readonly name: string;
  readonly distinctId: string;
  readonly timestampMs: number;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** A row on its way to ClickHouse: `offset` on its own topic. */
export interface Produced {
  readonly source: Source;
  readonly partition: number;
  readonly offset: number;
  readonly uuid: string;
  readonly distinctId: string;
  /** Its person as it shows it; `properties`: JSON text. */
  readonly person: { readonly uuid: string; readonly properties: string; readonly isFull: boolean };
}

const parse = ({ value }: LogRecord): Readonly<Record<string, unknown>> =>
  objectOf(JSON.parse(Buffer.from(value).toString()));

export function ingestedOf(record: LogRecord): Ingested {
  const { partition, offset } = record;
  const { uuid, event, distinct_id, timestamp, data } = parse(record);
  return {
    source: `${partition}:${offset}`,
    partition,
    offset,
    uuid: String(uuid),
    name: String(event),
    distinctId: String(distinct_id),
    timestampMs: Date.parse(String(timestamp)),
    properties: objectOf(objectOf(JSON.parse(String(data)))['properties']),
  };
}

export function producedOf(record: LogRecord): Produced {
  const { partition, offset, headers } = record;
  const row = parse(record);
  return {
    source: headers['source'] ?? '',
    partition,
    offset,
    uuid: String(row['uuid']),
    distinctId: String(row['distinct_id']),
    person: {
      uuid: String(row['person_id']),
      properties: String(row['person_properties']),
      isFull: row['person_mode'] === 'full',
    },
  };
}

/** Its first tag is `topic:partition:offset`. */
export function sourceOfDeadLetter(record: LogRecord): Source {
  const { tags } = parse(record);
  const tag = String(Array.isArray(tags) ? tags[0] : '');
  return tag.slice(tag.indexOf(':') + 1);
}
