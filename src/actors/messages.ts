/** What one saved work leaves on the output topics, and the fate of each of its records. */
import type { PipelineEvent } from '../event/event.ts';
import type { Fate } from '../event/outcome.ts';
import { ROW } from '../event/outcome.ts';
import { deadLetterRow, mappingRow, personRow, warningRow } from '../event/rows.ts';
import type { Folded, FoldOutcome } from '../person/fold.ts';
import { rawPayload } from '../raw-payload.ts';
import type { AppendRecord } from '../storage/event-log.ts';
import type { Mapping, PersonWithIds } from '../storage/person-store.ts';
import type { ClickHouseTopic } from '../storage/topics.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';
import type { Entry } from './entry.ts';
import type { Batch, Finish } from './outbox.ts';

export interface MessageOptions {
  /** Bytes of one message. */
  readonly bytesMax: number;
  /** Bytes of a too large message that its dead letter keeps. */
  readonly payloadBytesMax: number;
  readonly deriveRecordUuid: (topic: string, partition: number, offset: number) => string;
  /** Hex digest, by which a too large message can be told from another. */
  readonly digest: (bytes: Uint8Array) => string;
}

/** Why a record has no row. */
export interface Failure {
  readonly reason: Extract<Fate, { kind: 'dead_letter' }>['reason'];
  readonly stage: string;
  readonly detail: string;
  readonly rawPayload: string;
}

export class Messages {
  readonly #options: MessageOptions;
  readonly #records: AppendRecord[] = [];
  readonly #finishes: Finish[] = [];
  readonly #nowMs: number;

  /** `nowMs`: timestamp of persons, mappings and warnings. */
  constructor(options: MessageOptions, nowMs: number) {
    this.#options = options;
    this.#nowMs = nowMs;
  }

  get batch(): Batch {
    return { messages: this.#records, finishes: this.#finishes };
  }

  get isEmpty(): boolean {
    return this.#records.length === 0 && this.#finishes.length === 0;
  }

  /** A person's folded events, and the person itself where it changed. */
  folded(entries: readonly Entry[], folded: Folded, newIds: readonly Mapping[]): void {
    if (folded.person && (folded.changed || newIds.length > 0)) {
      this.person({ person: folded.person, ids: newIds });
    }
    folded.outcomes.forEach((outcome, index) => {
      const entry = entries[index];
      if (entry) this.#outcome(entry, outcome);
    });
  }

  /** One version of a person and the mappings that lead to it. */
  person({ person, ids }: PersonWithIds): void {
    const version = String(person.version);
    this.#add('clickhouse_person', person.uuid, personRow(person), this.#nowMs, {
      uuid: person.uuid,
      version,
    });
    for (const { distinctId, version: mappingVersion } of ids) {
      const row = mappingRow({
        teamId: person.teamId,
        distinctId,
        person: person.uuid,
        version: mappingVersion,
      });
      const headers = { uuid: person.uuid, version: String(mappingVersion) };
      this.#add('clickhouse_person_distinct_id', distinctId, row, this.#nowMs, headers);
    }
  }

  warnings(event: PipelineEvent, warnings = event.warnings): void {
    for (const { type, details } of warnings) {
      const row = warningRow(event.teamId, type, details, this.#nowMs);
      this.#add('clickhouse_ingestion_warnings', event.uuid, row, this.#nowMs, {});
    }
  }

  drop(at: RecordAt, fate: Extract<Fate, { kind: 'drop' }>): void {
    this.#finishes.push({ partition: at.partition, offset: at.offset, fate });
  }

  deadLetter(at: RecordAt, failure: Failure, event?: PipelineEvent): void {
    const id = this.#options.deriveRecordUuid(INGESTION_TOPIC, at.partition, at.offset);
    const row = deadLetterRow({
      id,
      reason: failure.reason,
      stage: failure.stage,
      detail: failure.detail,
      source: `${INGESTION_TOPIC}:${at.partition}:${at.offset}`,
      eventUuid: event?.uuid,
      eventName: event?.name ?? '',
      distinctId: event?.distinctId ?? '',
      teamId: event?.teamId ?? 0,
      rawPayload: failure.rawPayload,
      atMs: this.#nowMs,
    });
    this.#add('events_dead_letter_queue', id, row, this.#nowMs, {});
    this.#finishes.push({ ...position(at), fate: { kind: 'dead_letter', reason: failure.reason } });
  }

  #outcome(entry: Entry, outcome: FoldOutcome): void {
    const { payloadBytesMax } = this.#options;
    if (outcome.kind === 'failed') {
      this.deadLetter(
        entry,
        {
          reason: outcome.reason,
          stage: outcome.stage,
          detail: outcome.message,
          rawPayload: rawPayload(Buffer.from(JSON.stringify(entry.event.properties)), payloadBytesMax),
        },
        entry.event,
      );
      return;
    }
    this.warnings(entry.event, outcome.warnings);
    if (isLonger(outcome.row, this.#options.bytesMax)) {
      const value = Buffer.from(outcome.row);
      const detail = `${value.length} bytes, sha256 ${this.#options.digest(value)}`;
      const details = { eventUuid: entry.event.uuid, distinctId: entry.event.distinctId, size: value.length };
      this.warnings(entry.event, [{ type: 'message_size_too_large', details }]);
      this.deadLetter(
        entry,
        { reason: 'row_too_large', stage: 'row', detail, rawPayload: rawPayload(value, payloadBytesMax) },
        entry.event,
      );
      return;
    }
    this.#records.push({
      topic: 'clickhouse_events_json',
      key: entry.event.uuid,
      value: outcome.row,
      headers: { source: `${entry.partition}:${entry.offset}` },
      timestamp: entry.rowTimestampMs,
    });
    this.#finishes.push({ ...position(entry), fate: ROW });
  }

  #add(
    topic: ClickHouseTopic,
    key: string,
    row: string,
    timestamp: number,
    headers: Readonly<Record<string, string>>,
  ): void {
    this.#records.push({ topic, key, value: row, headers, timestamp });
  }
}

const UTF8_BYTES_PER_CHAR_MAX = 3;

/** Whether the text takes more bytes; most are short enough that nobody has to count. */
const isLonger = (text: string, bytesMax: number): boolean =>
  text.length * UTF8_BYTES_PER_CHAR_MAX > bytesMax && Buffer.byteLength(text) > bytesMax;

export interface RecordAt {
  readonly partition: number;
  readonly offset: number;
}

const position = ({ partition, offset }: RecordAt): RecordAt => ({ partition, offset });
