/** How large properties are in Postgres, so that what its check would refuse is known before it is asked. */
import type { Json, JsonObject } from '../event/json.ts';

const HEADER_BYTES = 4;
/** Each key, value and element has an entry in its container's table; a number or a container is aligned. */
const ENTRY_BYTES = 4;
const ALIGNMENT_BYTES = 3;
/** Of a double with all its digits. */
const NUMBER_BYTES = 24;

/** Of a person's or a group's properties in Postgres: its check refuses more. */
export const PROPERTIES_BYTES_MAX = 655_360;
/** Of the properties in their message: JSON text within JSON text. An output topic takes 1,000,000 with the rest. */
const MESSAGE_BYTES_MAX = 990_000;
/** Twice written as JSON, one byte becomes at most so many (a control character). */
const GROWTH_MAX = 7;

/** Whether Postgres takes the properties, and an output topic their message. */
export function fits(properties: JsonObject): boolean {
  const bytes = jsonbBytesMax(properties);
  if (bytes > PROPERTIES_BYTES_MAX) return false;
  if (bytes * GROWTH_MAX <= MESSAGE_BYTES_MAX) return true;
  return utf8BytesMax(JSON.stringify(JSON.stringify(properties))) <= MESSAGE_BYTES_MAX;
}

/** At least as many bytes as the value takes as jsonb. */
export function jsonbBytesMax(value: Json): number {
  if (typeof value === 'string') return utf8BytesMax(value);
  if (typeof value === 'number') return NUMBER_BYTES + ALIGNMENT_BYTES;
  if (typeof value !== 'object' || value === null) return 0;
  let bytes = HEADER_BYTES + ALIGNMENT_BYTES;
  if (Array.isArray(value)) {
    for (const item of value) bytes += ENTRY_BYTES + jsonbBytesMax(item);
    return bytes;
  }
  for (const [key, member] of Object.entries(value)) {
    bytes += 2 * ENTRY_BYTES + utf8BytesMax(key) + jsonbBytesMax(member);
  }
  return bytes;
}

function utf8BytesMax(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) bytes += code > 0x7ff ? 2 : 1;
  }
  return bytes;
}
