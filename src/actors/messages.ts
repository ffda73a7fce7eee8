/** What one saved work leaves on the output topics, and the fate of each of its records. */
import { letterPayload } from '../event/dead-letter.ts';
import type { EventWarning, PipelineEvent } from '../event/event.ts';
import type { PersonUuid, TeamId } from '../event/ids.ts';
import type { Fate } from '../event/outcome.ts';
import { ROW } from '../event/outcome.ts';
import {
  deadLetterRow,
  deletedPersonRow,
  groupRow,
  mappingRow,
  personRow,
  warningRow,
} from '../event/rows.ts';
import type { FoldOutcome } from '../person/fold.ts';
import { type Group, type GroupId, groupKey } from '../person/group.ts';
import type { Person } from '../person/person.ts';
import { rawPayload } from '../raw-payload.ts';
import type { AppendRecord } from '../storage/event-log.ts';
import type { DeletedPerson, MovedId, Recorded } from '../storage/person-store.ts';
import type { ClickHouseTopic } from '../storage/topics.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';
import type { Entry, RecordAt, Routed } from './entry.ts';
import type { Batch, Bulk, Finish } from './outbox.ts';
import type { SavedPart } from './save-all.ts';
import type { WarningDebounce } from './warning-debounce.ts';

export interface MessageOptions {
  /** Bytes of one message. */
  readonly bytesMax: number;
  /** Bytes of a too large message that its dead letter keeps. */
  readonly payloadBytesMax: number;
  readonly deriveRecordUuid: (topic: string, partition: number, offset: number) => string;
  /** Hex digest, by which a too large message can be told from another. */
  readonly digest: (bytes: Uint8Array) => string;
  readonly debounce: WarningDebounce;
}

/** Why a record has no row. */
export interface Failure {
  readonly reason: Extract<Fate, { kind: 'dead_letter' }>['reason'];
  readonly stage: string;
  readonly detail: string;
  readonly rawPayload: string;
}

interface IdsOfTeam {
  readonly teamId: TeamId;
  readonly ids: readonly MovedId[];
}

export class Messages {
  readonly #options: MessageOptions;
  readonly #records: AppendRecord[] = [];
  readonly #finishes: Finish[] = [];
  /** Tens of thousands of ids, perhaps, as of the next two: their messages are made when they are sent. */
  readonly #recordedIds: IdsOfTeam[] = [];
  readonly #movedIds: IdsOfTeam[] = [];
  readonly #mergeFinishes: Finish[] = [];
  readonly #nowMs: number;

  /** `nowMs`: timestamp of persons, mappings and warnings. */
  constructor(options: MessageOptions, nowMs: number) {
    this.#options = options;
    this.#nowMs = nowMs;
  }

  get batch(): Batch {
    return {
      messages: { [Symbol.iterator]: () => this.#messages() },
      finishes: this.#finishes,
      bulk: this.#movedIds.length > 0 ? this.#bulk : undefined,
    };
  }

  get isEmpty(): boolean {
    return this.#records.length === 0 && this.#finishes.length === 0 && this.#movedIds.length === 0;
  }

  get #bulk(): Bulk {
    return {
      messages: mappings(this.#movedIds, this.#nowMs),
      count: this.#movedIds.reduce((sum, { ids }) => sum + ids.length, 0),
      finishes: this.#mergeFinishes,
    };
  }

  *#messages(): Generator<AppendRecord> {
    yield* this.#records;
    yield* mappings(this.#recordedIds, this.#nowMs);
  }

  /**
   * Events that were saved together, and what became of their persons and groups. Where ids were moved, the events' rows
   * do not wait for the mappings, but their fates do: a crash in between has them replayed, and all ids of their persons
   * are told again. Who joins a row with mappings that are still to come finds the ids' earlier events a moment later,
   * as always: nothing keeps two topics in step.
   */
  folded(teamId: TeamId, routed: readonly Routed[], { folded, moved, groups, oversized }: SavedPart): void {
    for (const person of folded.written) this.#person(person);
    for (const id of folded.newIds) this.#records.push(mapping(teamId, id, this.#nowMs));
    for (const { person } of folded.merged) this.#deleted(person);
    for (const group of groups) this.#group(group);
    for (const change of oversized)
      this.#warnOfGroup(change, 'the group would be too large: the change was left out');
    const before = this.#finishes.length;
    folded.outcomes.forEach((outcome, index) => {
      const entry = routed[index]?.entry;
      if (entry) this.#outcome(entry, outcome);
    });
    if (moved.length === 0) return;
    this.#movedIds.push({ teamId, ids: moved });
    this.#mergeFinishes.push(...this.#finishes.splice(before));
  }

  /**
   * Persons and groups that a former owner saved and may not have sent, as they are now. Their ids are no bulk: the
   * records that they are sent for come in a later batch, and may get their fates only after them.
   */
  recorded({ persons, deleted, groups }: Recorded): void {
    for (const { person, ids } of persons) {
      this.#person(person);
      const { teamId, uuid } = person;
      this.#recordedIds.push({ teamId, ids: ids.map((mapping) => ({ ...mapping, person: uuid })) });
    }
    for (const person of deleted) this.#deleted(person);
    for (const group of groups) this.#group(group);
  }

  warnings(event: PipelineEvent, warnings = event.warnings): void {
    for (const warning of warnings) this.#warn(event.teamId, event.uuid, warning);
  }

  drop(at: RecordAt, fate: Extract<Fate, { kind: 'drop' }>): void {
    this.#finishes.push({ partition: at.partition, offset: at.offset, fate });
  }

  deadLetter(at: RecordAt, failure: Failure, event?: PipelineEvent): void {
    const id = this.#options.deriveRecordUuid(INGESTION_TOPIC, at.partition, at.offset);
    const { bytesMax, payloadBytesMax } = this.#options;
    const letter = {
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
    };
    const whole = deadLetterRow(letter);
    const row = isLonger(whole, bytesMax)
      ? deadLetterRow({ ...letter, rawPayload: rawPayload(Buffer.from(letter.rawPayload), payloadBytesMax) })
      : whole;
    this.#add('events_dead_letter_queue', id, row, {});
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
          rawPayload: letterPayload(entry.event, entry.recordedAtMs),
        },
        entry.event,
      );
      return;
    }
    this.warnings(entry.event, outcome.warnings);
    if (isLonger(outcome.row, this.#options.bytesMax)) {
      const value = Buffer.from(outcome.row);
      const detail = `${value.length} bytes, sha256 ${this.#options.digest(value)}`;
      const { uuid, distinctId } = entry.event;
      const details = { eventUuid: uuid, distinctId, size: value.length };
      this.warnings(entry.event, [{ type: 'message_size_too_large', sourceId: distinctId, details }]);
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

  #person(person: Person): void {
    const row = personRow(person);
    if (isLonger(row, this.#options.bytesMax)) {
      const details = { personId: person.uuid, size: Buffer.byteLength(row), message: NOT_SHOWN };
      this.#warn(person.teamId, person.uuid, {
        type: 'person_upsert_message_size_too_large',
        sourceId: person.uuid,
        details,
      });
      return;
    }
    this.#add('clickhouse_person', person.uuid, row, headersOf(person.teamId, person.uuid, person.version));
  }

  #deleted(person: DeletedPerson): void {
    const { teamId, uuid, version } = person;
    this.#add('clickhouse_person', uuid, deletedPersonRow(person), headersOf(teamId, uuid, version));
  }

  #group(group: Group): void {
    const row = groupRow(group);
    if (isLonger(row, this.#options.bytesMax)) {
      this.#warnOfGroup(group, NOT_SHOWN);
      return;
    }
    this.#add('clickhouse_groups', groupKey(group), row, { version: String(group.version) });
  }

  #warnOfGroup({ teamId, typeIndex, key }: GroupId, message: string): void {
    const details = { groupTypeIndex: typeIndex, groupKey: key, message };
    const type = 'group_upsert_message_size_too_large';
    this.#warn(teamId, key, { type, sourceId: `${typeIndex}:${key}`, details });
  }

  #warn(teamId: TeamId, key: string, warning: EventWarning): void {
    if (!this.#options.debounce.isFirst(teamId, warning, this.#nowMs)) return;
    const row = warningRow(teamId, warning.type, warning.details, this.#nowMs);
    this.#add('clickhouse_ingestion_warnings', key, row, {});
  }

  #add(topic: ClickHouseTopic, key: string, value: string, headers: Readonly<Record<string, string>>): void {
    this.#records.push({ topic, key, value, headers, timestamp: this.#nowMs });
  }
}

/** Not of a `Messages`: whoever sends them later needs nothing else of it. */
function* mappings(idsOfTeams: readonly IdsOfTeam[], nowMs: number): Generator<AppendRecord> {
  for (const { teamId, ids } of idsOfTeams) for (const id of ids) yield mapping(teamId, id, nowMs);
}

const mapping = (
  teamId: TeamId,
  { distinctId, person, version }: MovedId,
  timestamp: number,
): AppendRecord => ({
  topic: 'clickhouse_person_distinct_id',
  key: distinctId,
  value: mappingRow({ teamId, distinctId, person, version }),
  headers: headersOf(teamId, person, version),
  timestamp,
});

const NOT_SHOWN = 'too large for one message: the newest state is not shown in ClickHouse';

const UTF8_BYTES_PER_CHAR_MAX = 3;

/** Whether the text takes more bytes; most are short enough that nobody has to count. */
const isLonger = (text: string, bytesMax: number): boolean =>
  text.length * UTF8_BYTES_PER_CHAR_MAX > bytesMax && Buffer.byteLength(text) > bytesMax;

/** For `tail.ts`. */
const headersOf = (teamId: TeamId, uuid: PersonUuid, version: number) => ({
  team: String(teamId),
  uuid,
  version: String(version),
});

const position = ({ partition, offset }: RecordAt): RecordAt => ({ partition, offset });
