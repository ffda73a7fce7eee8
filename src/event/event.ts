/** An event inside the pipeline: decoded from its record and normalised, before it meets its person. */
import type { CapturedEvent } from './captured.ts';
import { asDistinctId, asToken, type DistinctId, type EventUuid, parseUuid, type TeamId } from './ids.ts';
import { isJsonObject, type Json, type JsonObject, objectOrEmpty } from './json.ts';
import type { WarningType } from './outcome.ts';
import { boundsFault, scrubText } from './scrub.ts';
import { isStorableTime } from './timestamp.ts';

export interface PipelineEvent {
  readonly uuid: EventUuid;
  readonly teamId: TeamId;
  readonly distinctId: DistinctId;
  readonly name: string;
  readonly properties: JsonObject;
  /** When it happened, milliseconds since the epoch. */
  readonly timestampMs: number;
  /** When capture took it, milliseconds since the epoch. */
  readonly capturedAtMs: number;
  readonly historicalMigration: boolean;
  readonly warnings: readonly EventWarning[];
}

export interface EventWarning {
  readonly type: WarningType;
  /** What it is about: of each type and source there is one warning an hour. */
  readonly sourceId: string;
  /** What a user needs to find the cause: `eventUuid`, `distinctId`, the offending value. */
  readonly details: JsonObject;
}

/** A record that capture did not write, or that something damaged. */
export interface Malformed {
  readonly malformed: string;
}

export interface Decoded {
  readonly captured: CapturedEvent;
  /** The client's event, parsed from `data`. */
  readonly inner: JsonObject;
}

/** More than capture lets in: deeper ones can be read, but not written again. */
const BOUNDS = { depthMax: 200, keysMax: Number.POSITIVE_INFINITY };

/** Decodes a record's value. `malformed` says what is wrong. */
export function decodeCaptured(text: string): Decoded | Malformed {
  try {
    const captured: unknown = JSON.parse(text);
    if (!isJsonObject(captured)) return { malformed: 'the record is not a JSON object' };
    const fields: Readonly<Record<string, unknown>> = captured;
    const { distinct_id, token, event, data } = fields;
    const uuid = typeof fields['uuid'] === 'string' ? parseUuid(fields['uuid']) : undefined;
    if (uuid === undefined) return { malformed: 'uuid is missing or not a UUID' };
    if (typeof distinct_id !== 'string' || distinct_id === '') return { malformed: 'distinct_id is missing' };
    if (scrubText(distinct_id) !== distinct_id)
      return { malformed: 'distinct_id has NUL or half a character' };
    if (typeof token !== 'string' || scrubText(token) !== token) return { malformed: 'token is missing' };
    if (typeof data !== 'string') return { malformed: 'data is missing or not a string' };
    const inner = parseFinite(data);
    if (!isJsonObject(inner)) return { malformed: 'data is not a JSON object' };
    if (boundsFault(inner, BOUNDS)) return { malformed: `data is nested more than ${BOUNDS.depthMax} deep` };
    const name = typeof event === 'string' ? event : inner['event'];
    if (typeof name !== 'string' || name === '') return { malformed: 'event is missing' };
    return {
      captured: {
        uuid,
        distinct_id: asDistinctId(distinct_id),
        token: asToken(token),
        event: name,
        data,
        ip: textOrEmpty(fields['ip']),
        now: textOrEmpty(fields['now']),
        timestamp: textOrEmpty(fields['timestamp']),
        ...(typeof fields['sent_at'] === 'string' ? { sent_at: fields['sent_at'] } : {}),
        ...(fields['is_cookieless_mode'] === true ? { is_cookieless_mode: true } : {}),
        ...(fields['historical_migration'] === true ? { historical_migration: true } : {}),
      },
      inner,
    };
  } catch (error) {
    return { malformed: error instanceof Error ? error.message : String(error) };
  }
}

/** Finds every number that is too large for a double: its exponent has three digits, or it has 200 itself. */
const MAY_OVERFLOW = /[:,[\s]-?\d[\d.]*(?:[eE]\+?\d{3}|(?<=\d{200}))/;

/** `JSON.parse` makes such a number Infinity, which is null wherever it is written; so it is null from here on. */
function parseFinite(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return MAY_OVERFLOW.test(text) ? JSON.parse(JSON.stringify(value)) : value;
}

const textOrEmpty = (value: unknown): string => (typeof value === 'string' ? value : '');

/**
 * The event as the pipeline knows it. The envelope overrules what the client wrote; top-level `$set` and `$set_once`
 * move into the properties; `$ip` and `$sent_at` are added. `takenAtMs` (the record's time) stands in for a
 * timestamp that cannot be read. The properties of `inner` become the event's: they are changed.
 */
export function openEvent({ captured, inner }: Decoded, teamId: TeamId, takenAtMs: number): PipelineEvent {
  const properties: Record<string, Json> = isJsonObject(inner['properties'])
    ? { ...inner['properties'] }
    : {};
  for (const key of ['$set', '$set_once'] as const) {
    const outer = inner[key];
    if (isJsonObject(outer)) properties[key] = { ...objectOrEmpty(properties[key]), ...outer };
  }
  if (!properties['$ip'] && captured.ip !== '') properties['$ip'] = captured.ip;
  if (captured.sent_at !== undefined) properties['$sent_at'] = captured.sent_at;
  const sessionId = properties['$session_id'];
  // Clients write the same session in both cases.
  if (typeof sessionId === 'string' && parseUuid(sessionId))
    properties['$session_id'] = sessionId.toLowerCase();

  const capturedAtMs = readTime(captured.now) ?? takenAtMs;
  const timestampMs = readTime(captured.timestamp);
  const warnings: EventWarning[] = [];
  if (timestampMs === undefined) warnings.push(invalidTimestamp(captured));
  if (isCut(captured.distinct_id, inner)) warnings.push(truncatedId(captured));
  return {
    uuid: captured.uuid,
    teamId,
    distinctId: captured.distinct_id,
    name: captured.event,
    properties,
    timestampMs: timestampMs ?? capturedAtMs,
    capturedAtMs,
    historicalMigration: captured.historical_migration === true,
    warnings,
  };
}

function readTime(text: string): number | undefined {
  const ms = Date.parse(text);
  return isStorableTime(ms) ? ms : undefined;
}

/** Whether the client's distinct id was longer than the one that capture made of it. */
function isCut(distinctId: string, { distinct_id, $distinct_id, properties }: JsonObject): boolean {
  const own = distinct_id ?? $distinct_id ?? objectOrEmpty(properties)['distinct_id'];
  return typeof own === 'string' && own.length > distinctId.length && own.startsWith(distinctId);
}

const truncatedId = ({ uuid, distinct_id }: CapturedEvent): EventWarning => ({
  type: 'distinct_id_truncated',
  sourceId: distinct_id,
  details: { eventUuid: uuid, distinctId: distinct_id },
});

const invalidTimestamp = (captured: CapturedEvent): EventWarning => ({
  type: 'ignored_invalid_timestamp',
  sourceId: captured.distinct_id,
  details: { eventUuid: captured.uuid, distinctId: captured.distinct_id, value: captured.timestamp },
});
