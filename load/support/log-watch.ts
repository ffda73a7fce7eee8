/**
 * Reads along: every record of the ingestion topic, and every row that a worker has produced for it, with the time at
 * which it was seen.
 */
import { systemClock } from '../../src/clock.ts';
import type { EventLog, LogRecord } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { seqKey } from './seq-client.ts';
import { TopicReader } from './topic-reader.ts';

/** A record of the ingestion topic. Times are milliseconds since the epoch. */
export interface SeenRecord {
  readonly uuid: string;
  readonly distinctId: string;
  readonly seq: number;
  readonly partition: number;
  readonly offset: number;
  readonly recordedAtMs: number;
}

/** A row on the output topic; `source`: `partition:offset` of its record. */
export interface SeenRow {
  readonly uuid: string;
  readonly distinctId: string;
  readonly source: string;
  /** Of the event, and of the person on its row. */
  readonly seq: number;
  readonly personSeq: number | undefined;
  readonly timestampMs: number;
  readonly seenAtMs: number;
}

const ROWS_TOPIC = 'clickhouse_events_json';

export class LogWatch {
  /** By `partition:offset`. */
  readonly records = new Map<string, SeenRecord>();
  readonly rows: SeenRow[] = [];
  readonly #reader: TopicReader;

  private constructor(reader: TopicReader) {
    this.#reader = reader;
  }

  static async open(log: EventLog): Promise<LogWatch> {
    const reader = new TopicReader(log, 'watch', [INGESTION_TOPIC, ROWS_TOPIC]);
    const watch = new LogWatch(reader);
    await reader.open((topic, record) => {
      if (topic === ROWS_TOPIC) watch.rows.push(toRow(record));
      else watch.records.set(`${record.partition}:${record.offset}`, toRecord(record));
    });
    return watch;
  }

  /** Why it no longer reads, if so. */
  get stopped(): string | undefined {
    return this.#reader.stopped;
  }

  /** Whether it has read everything that the log has. */
  hasAll(): Promise<boolean> {
    return this.#reader.hasAll();
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}

function toRecord({ value, partition, offset, timestamp }: LogRecord): SeenRecord {
  const { uuid, distinct_id, data } = JSON.parse(Buffer.from(value).toString());
  const { properties } = JSON.parse(data);
  return { uuid, distinctId: distinct_id, seq: properties.seq, partition, offset, recordedAtMs: timestamp };
}

function toRow({ value, headers, timestamp }: LogRecord): SeenRow {
  const { uuid, distinct_id, properties, person_properties } = JSON.parse(Buffer.from(value).toString());
  return {
    uuid,
    distinctId: distinct_id,
    source: headers['source'] ?? '',
    seq: JSON.parse(properties).seq,
    personSeq: JSON.parse(person_properties)[seqKey(distinct_id)],
    timestampMs: timestamp,
    seenAtMs: systemClock.now(),
  };
}
