/** Messages on the ClickHouse topics, field by field as PostHog's tables take them (JSONEachRow). */
import type { PipelineEvent } from './event.ts';
import type { DistinctId, EventUuid, PersonUuid, TeamId } from './ids.ts';
import type { JsonObject } from './json.ts';
import type { DeadLetterReason, WarningType } from './outcome.ts';
import { clickHouseMicros, clickHouseSeconds } from './timestamp.ts';

/** `full`: with its person's properties; `propertyless`: the client asked for no person profile. */
export type PersonMode = 'full' | 'propertyless' | 'force_upgrade';

/** The person as an event's row shows it. */
export interface PersonOnRow {
  readonly uuid: PersonUuid;
  readonly createdAtMs: number;
  /** JSON text. */
  readonly properties: string;
  readonly mode: PersonMode;
}

/** A group as an event's row shows it. */
export interface GroupOnRow {
  /** 0 to 4. */
  readonly typeIndex: number;
  readonly key: string;
  readonly properties: JsonObject;
  /** `undefined`: nobody has described the group yet. */
  readonly createdAtMs: number | undefined;
}

/** `clickhouse_events_json`: one row of `events`. `properties`: JSON text. */
export function eventRow(
  event: PipelineEvent,
  properties: string,
  elementsChain: string,
  person: PersonOnRow,
  groups: readonly GroupOnRow[],
): string {
  return JSON.stringify({
    uuid: event.uuid,
    event: event.name,
    properties,
    timestamp: clickHouseMicros(event.timestampMs),
    team_id: event.teamId,
    distinct_id: event.distinctId,
    elements_chain: elementsChain,
    created_at: clickHouseMicros(event.capturedAtMs),
    person_id: person.uuid,
    person_created_at: clickHouseSeconds(person.createdAtMs),
    person_properties: person.properties,
    person_mode: person.mode,
    historical_migration: event.historicalMigration,
    ...(groups.length === 0 ? undefined : groupColumns(groups)),
  });
}

function groupColumns(groups: readonly GroupOnRow[]): Readonly<Record<string, string>> {
  const columns: Record<string, string> = {};
  for (const { typeIndex, properties, createdAtMs } of groups) {
    columns[`group${typeIndex}_properties`] = JSON.stringify(properties);
    if (createdAtMs !== undefined) columns[`group${typeIndex}_created_at`] = clickHouseSeconds(createdAtMs);
  }
  return columns;
}

export interface PersonMessage {
  readonly uuid: PersonUuid;
  readonly teamId: TeamId;
  readonly createdAtMs: number;
  readonly properties: JsonObject;
  readonly isIdentified: boolean;
  readonly version: number;
}

/** `clickhouse_person`: one version of a person. */
export function personRow(person: PersonMessage): string {
  return personRowOf(person, 0);
}

/** `clickhouse_person`: the end of a person that was merged away. */
export function deletedPersonRow(
  person: Pick<PersonMessage, 'uuid' | 'teamId' | 'createdAtMs' | 'version'>,
): string {
  return personRowOf({ ...person, properties: {}, isIdentified: false }, 1);
}

function personRowOf(person: PersonMessage, isDeleted: 0 | 1): string {
  return JSON.stringify({
    id: person.uuid,
    created_at: clickHouseSeconds(person.createdAtMs),
    team_id: person.teamId,
    properties: JSON.stringify(person.properties),
    is_identified: person.isIdentified ? 1 : 0,
    is_deleted: isDeleted,
    version: person.version,
  });
}

export interface GroupMessage {
  readonly teamId: TeamId;
  readonly typeIndex: number;
  readonly key: string;
  readonly properties: JsonObject;
  readonly createdAtMs: number;
  readonly version: number;
}

/** `clickhouse_groups`: one version of a group. */
export function groupRow(group: GroupMessage): string {
  return JSON.stringify({
    group_type_index: group.typeIndex,
    group_key: group.key,
    team_id: group.teamId,
    group_properties: JSON.stringify(group.properties),
    created_at: clickHouseSeconds(group.createdAtMs),
    version: group.version,
  });
}

export interface MappingMessage {
  readonly teamId: TeamId;
  readonly distinctId: DistinctId;
  readonly person: PersonUuid;
  readonly version: number;
}

/** `clickhouse_person_distinct_id`: which person a distinct id belongs to. */
export function mappingRow(mapping: MappingMessage): string {
  return JSON.stringify({
    team_id: mapping.teamId,
    distinct_id: mapping.distinctId,
    person_id: mapping.person,
    version: mapping.version,
    is_deleted: 0,
  });
}

/** `clickhouse_ingestion_warnings`. */
export function warningRow(teamId: TeamId, type: WarningType, details: JsonObject, atMs: number): string {
  return JSON.stringify({
    team_id: teamId,
    type,
    source: 'tributary',
    details: JSON.stringify(details),
    timestamp: clickHouseMicros(atMs),
  });
}

const NIL_UUID = '00000000-0000-0000-0000-000000000000';

export interface DeadLetter {
  /** Derived from topic, partition and offset, so that a repeat is the same row. */
  readonly id: string;
  readonly reason: DeadLetterReason;
  /** The stage that gave up. */
  readonly stage: string;
  /** What was wrong, in words. */
  readonly detail: string;
  /** `topic:partition:offset` of the record. */
  readonly source: string;
  /** `topic:partition:offset` of the ingestion record that it was made of, where it is another one and known. */
  readonly origin?: string;
  readonly eventUuid: EventUuid | undefined;
  readonly eventName: string;
  readonly distinctId: string;
  readonly teamId: number;
  /** The record as text, or `base64:…` when it is none; cut to a bound. */
  readonly rawPayload: string;
  readonly atMs: number;
}

/** `events_dead_letter_queue`: what could not be processed. */
export function deadLetterRow(letter: DeadLetter): string {
  return JSON.stringify({
    id: letter.id,
    event_uuid: letter.eventUuid ?? NIL_UUID,
    event: letter.eventName,
    properties: '{}',
    distinct_id: letter.distinctId,
    team_id: letter.teamId,
    elements_chain: '',
    created_at: clickHouseMicros(letter.atMs),
    ip: '',
    site_url: '',
    now: clickHouseMicros(letter.atMs),
    raw_payload: letter.rawPayload,
    error_timestamp: clickHouseMicros(letter.atMs),
    error_location: letter.stage,
    error: letter.reason,
    tags: [letter.source, letter.detail, ...(letter.origin === undefined ? [] : [letter.origin])],
  });
}
