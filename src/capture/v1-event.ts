/** Capture V1 moves some properties to other places. Here they go back to where every other client has them. */
import type { Json, JsonObject } from '../event/json.ts';
import { isJsonObject } from '../event/json.ts';
import type { Refusal } from './refusal.ts';
import { refuse } from './validate.ts';

/** Fields beside the properties. */
export const MOVED_FIELDS = { session_id: '$session_id', window_id: '$window_id' } as const;

/** Members of `options`, and what they have to be. */
export const OPTIONS = {
  process_person_profile: { property: '$process_person_profile', read: asBoolean },
  cookieless_mode: { property: '$cookieless_mode', read: asBoolean },
  disable_skew_correction: { property: '$ignore_sent_at', read: asBoolean },
  product_tour_id: { property: '$product_tour_id', read: asText },
} as const;

/** What a request's headers and envelope say of each of its events. */
export interface V1Common {
  readonly lib: string | undefined;
  readonly libVersion: string | undefined;
  readonly isInternal: boolean;
}

/** The event as v0 would have sent it. What is in the properties already stays as it is. */
export function v0Event(event: JsonObject, index: number, common: V1Common): JsonObject | Refusal {
  const { options, session_id, window_id, properties, ...rest } = event;
  const restored: Record<string, Json> = {};
  if (common.lib !== undefined) restored['$lib'] = common.lib;
  if (common.libVersion !== undefined) restored['$lib_version'] = common.libVersion;
  if (common.isInternal) restored['capture_internal'] = true;
  if (session_id !== undefined && session_id !== null) restored[MOVED_FIELDS.session_id] = session_id;
  if (window_id !== undefined && window_id !== null) restored[MOVED_FIELDS.window_id] = window_id;
  if (options !== undefined && options !== null) {
    if (!isJsonObject(options)) return refuse('invalid_options', event, index, '"options" is not an object');
    for (const [name, { property, read }] of Object.entries(OPTIONS)) {
      const value = options[name];
      if (value === undefined || value === null) continue;
      const known = read(value);
      if (known === undefined) {
        return refuse('invalid_options', event, index, `the option "${name}" is of a wrong type`);
      }
      restored[property] = known;
    }
  }
  // Anything but an object is refused later on, in the same words as v0's.
  if (properties !== undefined && !isJsonObject(properties)) return { ...rest, properties };
  return { ...rest, properties: { ...restored, ...properties } };
}

function asBoolean(value: Json): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  const text = typeof value === 'string' ? value.trim().toLowerCase() : '';
  if (text === 'true' || text === '1') return true;
  return text === 'false' || text === '0' ? false : undefined;
}

function asText(value: Json): string | undefined {
  if (typeof value === 'string') return value;
  return Number.isInteger(value) ? String(value) : undefined;
}
