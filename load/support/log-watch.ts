/**
 * Reads along: every record of the ingestion topic, and every row that a worker has produced for it, with the time at
 * which it was seen. A member of a group of its own; what is delivered twice counts once.
 */
import { systemClock } from '../../src/clock.ts';
import type { Assignment, EventLog, LogRecord, Subscription } from '../../src/storage/event-log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { seqKey } from './seq-client.ts';

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
const RECORDS_MAX = 500;

export class LogWatch {
  /** By `partition:offset`. */
  readonly records = new Map<string, SeenRecord>();
  readonly rows: SeenRow[] = [];
  /** Why it no longer reads, if so. */
  stopped: string | undefined;
  /** Offset that comes next, by topic and partition. */
  readonly #next = new Map<string, number>();
  readonly #log: EventLog;
  #subscription: Subscription | undefined;

  private constructor(log: EventLog) {
    this.#log = log;
  }

  static async open(log: EventLog): Promise<LogWatch> {
    const watch = new LogWatch(log);
    watch.#subscription = await log.subscribe({
      group: 'watch',
      topics: [INGESTION_TOPIC, ROWS_TOPIC],
      recordsMax: RECORDS_MAX,
      onAssign: async (assignment) => watch.#next.get(placeOf(assignment)) ?? 0,
      onRevoke() {},
      onRecords: (assignment, records) => watch.#read(assignment, records),
      onError: (error) => {
        watch.stopped = error.message;
      },
    });
    return watch;
  }

  /** Whether it has read everything that the log has. */
  async hasAll(): Promise<boolean> {
    for (const topic of [INGESTION_TOPIC, ROWS_TOPIC] as const) {
      for (const { partition, first, end } of await this.#log.offsets(topic)) {
        if (end > first && (this.#next.get(placeOf({ topic, partition })) ?? 0) < end) return false;
      }
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#subscription?.close();
  }

  #read(assignment: Assignment, records: readonly LogRecord[]): void {
    const place = placeOf(assignment);
    const next = this.#next.get(place) ?? 0;
    const news = records.filter(({ offset }) => offset >= next);
    const last = news.at(-1);
    if (last === undefined) return;
    this.#next.set(place, last.offset + 1);
    for (const record of news) {
      if (assignment.topic === ROWS_TOPIC) this.rows.push(toRow(record));
      else this.records.set(`${record.partition}:${record.offset}`, toRecord(record));
    }
  }
}

const placeOf = ({ topic, partition }: Pick<Assignment, 'topic' | 'partition'>): string =>
  `${topic} ${partition}`;

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
