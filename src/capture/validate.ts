/** What an event must have to be taken. */
import { asDistinctId, type DistinctId, type EventUuid, parseUuid } from '../event/ids.ts';
import { isJsonObject, type Json, type JsonObject } from '../event/json.ts';
import type { DiscardReason, RefusalReason } from '../event/outcome.ts';
import { type BoundsFault, boundsFault, scrubText, truncateChars } from '../event/scrub.ts';
import { Refusal } from './refusal.ts';

export interface EventLimits {
  readonly jsonDepthMax: number;
  readonly jsonKeysMax: number;
  readonly distinctIdCharsMax: number;
  readonly eventNameCharsMax: number;
}

export interface ValidEvent {
  readonly name: string;
  readonly distinctId: DistinctId;
  /** As the client gave it. */
  readonly uuid: EventUuid | undefined;
  readonly isCookieless: boolean;
  readonly properties: JsonObject;
}

const NO_PROPERTIES: JsonObject = {};

/** Events of products that are not here: taken, counted, and kept nowhere. */
const DISCARDED: ReadonlyMap<Json | undefined, DiscardReason> = new Map([
  ['$snapshot', 'session_recording'],
  ['$snapshot_items', 'session_recording'],
  ['$performance_event', 'performance_event'],
  ['$$heatmap', 'heatmap'],
]);

export function discardReason(event: JsonObject): DiscardReason | undefined {
  return DISCARDED.get(event['event']);
}

/** A refusal for what is no object, or is nested or branched too much to be handled at all. */
export function checkBounds(event: Json, index: number, limits: EventLimits): JsonObject | Refusal {
  if (!isJsonObject(event)) return new Refusal('malformed_body', `event ${index} is not a JSON object`);
  const fault = boundsFault(event, { depthMax: limits.jsonDepthMax, keysMax: limits.jsonKeysMax });
  return fault === undefined ? event : refuse(fault, event, index, boundsText(fault, limits));
}

function boundsText(fault: BoundsFault, limits: EventLimits): string {
  if (fault === 'too_deep') return `it is nested more than ${limits.jsonDepthMax} deep`;
  return `it has more than ${limits.jsonKeysMax} keys and array elements`;
}

/** `event`: within the bounds, and scrubbed. `nameIfAbsent`: what `/engage` calls an event without a name. */
export function validateEvent(
  event: JsonObject,
  index: number,
  nameIfAbsent: string | undefined,
  limits: EventLimits,
): ValidEvent | Refusal {
  const name = event['event'] ?? nameIfAbsent;
  if (name === undefined || name === '')
    return refuse('missing_event_name', event, index, '"event" is missing');
  if (typeof name !== 'string') return refuse('invalid_event_name', event, index, '"event" is not a string');

  const properties = event['properties'] === undefined ? NO_PROPERTIES : event['properties'];
  if (!isJsonObject(properties))
    return refuse('invalid_properties', event, index, '"properties" is not an object');

  const distinctId = distinctIdOf(event, properties, limits.distinctIdCharsMax);
  if (distinctId === undefined) return refuse('missing_distinct_id', event, index, 'distinct_id is missing');

  const uuid = uuidOf(event['uuid']);
  if (uuid === 'invalid') return refuse('invalid_uuid', event, index, '"uuid" is not a UUID');

  const cookieless = properties['$cookieless_mode'];
  if (cookieless !== undefined && typeof cookieless !== 'boolean') {
    return refuse('invalid_cookieless_mode', event, index, '"$cookieless_mode" is not a boolean');
  }
  return {
    name: truncateChars(name, limits.eventNameCharsMax),
    distinctId,
    uuid,
    isCookieless: cookieless === true,
    properties,
  };
}

function distinctIdOf(event: JsonObject, properties: JsonObject, charsMax: number): DistinctId | undefined {
  const value = event['distinct_id'] ?? event['$distinct_id'] ?? properties['distinct_id'];
  if (value === undefined || value === null) return undefined;
  // 1e400 has become Infinity, which is null in JSON.
  if (typeof value === 'number' && !Number.isFinite(value)) return undefined;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (text.trim() === '') return undefined;
  return asDistinctId(truncateChars(text, charsMax));
}

const UUID_WITHOUT_HYPHENS = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/i;

function uuidOf(value: Json | undefined): EventUuid | undefined | 'invalid' {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') return 'invalid';
  const hyphenated = value.length === 32 ? value.replace(UUID_WITHOUT_HYPHENS, '$1-$2-$3-$4-$5') : value;
  return parseUuid(hyphenated) ?? 'invalid';
}

/** A refusal that names the event: `event 3 ("signup", uuid 0199…): distinct_id is missing`. */
export function refuse(reason: RefusalReason, event: JsonObject, index: number, fault: string): Refusal {
  const names: string[] = [];
  const { event: name, uuid } = event;
  if (typeof name === 'string' && name !== '') names.push(shown(name));
  if (typeof uuid === 'string' && uuid !== '') names.push(`uuid ${shown(uuid)}`);
  const which = names.length === 0 ? `event ${index}` : `event ${index} (${names.join(', ')})`;
  return new Refusal(reason, `${which}: ${fault}`);
}

const SHOWN_CHARS_MAX = 100;
const shown = (text: string) => JSON.stringify(truncateChars(scrubText(text), SHOWN_CHARS_MAX));
