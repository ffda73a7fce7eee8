/** One message of a Segment client, in PostHog's words. The tables of `segment-table.ts` say how. */

import { parseUuid } from '../event/ids.ts';
import { isJsonObject, type Json, type JsonObject, objectOrEmpty } from '../event/json.ts';
import { deriveMessageUuid } from '../ids.ts';
import type { Refusal } from './refusal.ts';
import {
  ANONYMOUS_IDENTIFY,
  EVERY_MESSAGE,
  type FieldMapping,
  MESSAGES,
  type MessageType,
  REST_OF_CONTEXT,
} from './segment-table.ts';
import { refuse } from './validate.ts';

type Properties = Record<string, Json>;

/** `type`: what the path said; without it, what the message says. Within the bounds of JSON that capture takes. */
export function segmentEvent(
  sent: JsonObject,
  index: number,
  type: MessageType | undefined,
): JsonObject | Refusal {
  const message = withTextIds(sent);
  const named = type ?? message['type'];
  if (!isMessageType(named)) {
    const types = Object.keys(MESSAGES).join(', ');
    return refuse('unknown_message_type', message, index, `"type" is none of ${types}`);
  }
  const { userId, anonymousId, messageId, timestamp, originalTimestamp } = message;
  const isAnonymous = isBlank(userId);
  const distinctId = isAnonymous ? anonymousId : userId;
  if (isBlank(distinctId)) {
    return refuse('missing_distinct_id', message, index, 'neither "userId" nor "anonymousId" is given');
  }
  const mapping = named === 'identify' && isAnonymous ? ANONYMOUS_IDENTIFY : MESSAGES[named];
  const own = mapping.spreads === undefined ? {} : (message[mapping.spreads] ?? {});
  if (!isJsonObject(own)) {
    return refuse('invalid_properties', message, index, `"${mapping.spreads}" is not an object`);
  }
  const name = mapping.event ?? message['event'];
  const properties: Properties = { ...mapping.adds };
  copyFields(EVERY_MESSAGE, message, properties);
  copyFields(mapping.fields, message, properties);
  const rest = restOfContext(message['context']);
  if (Object.keys(rest).length > 0) properties[REST_OF_CONTEXT] = rest;
  return {
    ...(name === undefined ? {} : { event: name }),
    ...(distinctId === undefined ? {} : { distinct_id: distinctId }),
    ...(typeof messageId === 'string' && messageId !== '' ? { uuid: uuidOf(messageId) } : {}),
    timestamp: timestamp ?? originalTimestamp ?? null,
    properties: { ...properties, ...own },
  };
}

/** Some write the numbers of their database; an id is a text. */
function withTextIds(sent: JsonObject): JsonObject {
  const numbers = ID_FIELDS.filter((field) => typeof sent[field] === 'number');
  if (numbers.length === 0) return sent;
  return { ...sent, ...Object.fromEntries(numbers.map((field) => [field, String(sent[field])])) };
}

const ID_FIELDS = ['userId', 'anonymousId', 'previousId', 'groupId'];

function isMessageType(type: Json | undefined): type is MessageType {
  return typeof type === 'string' && Object.hasOwn(MESSAGES, type);
}

const isBlank = (id: Json | undefined): boolean =>
  id === undefined || id === null || (typeof id === 'string' && id.trim() === '');

/** A message that comes again has the same one. */
const uuidOf = (messageId: string): string => parseUuid(messageId) ?? deriveMessageUuid(messageId);

function copyFields(mappings: readonly FieldMapping[], message: JsonObject, properties: Properties): void {
  for (const { from, to } of mappings) {
    const value = valueAt(message, from.split('.'));
    if (value === undefined || value === null || value === '') continue;
    const [outer = '', inner] = to.split('.');
    properties[outer] = inner === undefined ? value : { [inner]: value };
  }
}

function valueAt(object: JsonObject, path: readonly string[]): Json | undefined {
  let value: Json | undefined = object;
  for (const key of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** The names under each key of `context` that have gone elsewhere; with none, the key itself has. */
const TAKEN = new Map<string, Set<string>>();
for (const { from } of EVERY_MESSAGE) {
  const [head, key = '', inner] = from.split('.');
  if (head !== 'context') continue;
  const names = TAKEN.get(key) ?? new Set();
  if (inner !== undefined) names.add(inner);
  TAKEN.set(key, names);
}

function restOfContext(context: Json | undefined): JsonObject {
  const rest: Properties = {};
  for (const [key, value] of Object.entries(objectOrEmpty(context))) {
    const taken = TAKEN.get(key);
    if (taken?.size === 0) continue;
    if (taken === undefined || !isJsonObject(value)) {
      rest[key] = value;
      continue;
    }
    const left = Object.entries(value).filter(([name]) => !taken.has(name));
    if (left.length > 0) rest[key] = Object.fromEntries(left);
  }
  return rest;
}
