/** Makes text and JSON from strangers safe to store: no NUL, no lone surrogates, no endless nesting. */
import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** NUL (PostgreSQL takes it nowhere) and surrogates without their other half. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu;
/** The escapes that can bring either into a JSON text; a text decoded from UTF-8 cannot hold them otherwise. */
const SUSPICIOUS_ESCAPE = /\\u(?:0000|[dD][89a-fA-F])/;

/** Each NUL and each lone surrogate becomes U+FFFD. */
export function scrubText(text: string): string {
  return text.replace(UNSTORABLE, '\ufffd');
}

/** False: no value of this JSON text, decoded from UTF-8, needs `scrub`. */
export function mayNeedScrub(jsonText: string): boolean {
  return jsonText.includes('\\u') && SUSPICIOUS_ESCAPE.test(jsonText);
}

/**
 * The object with every key and string scrubbed; the very same object when nothing had to change. Recursive: check
 * `boundsFault` first.
 */
export function scrub(value: JsonObject): JsonObject {
  let changed = false;
  const entries = Object.entries(value).map(([key, member]): [string, Json] => {
    const entry: [string, Json] = [scrubText(key), scrubValue(member)];
    changed ||= entry[0] !== key || entry[1] !== member;
    return entry;
  });
  // fromEntries defines own properties, so a key `__proto__` stays a key.
  return changed ? Object.fromEntries(entries) : value;
}

function scrubValue(value: Json): Json {
  if (typeof value === 'string') return scrubText(value);
  if (isArray(value)) {
    const scrubbed = value.map(scrubValue);
    return scrubbed.some((element, i) => element !== value[i]) ? scrubbed : value;
  }
  return isJsonObject(value) ? scrub(value) : value;
}

export interface JsonBounds {
  /** Nested containers, the outermost included. */
  readonly depthMax: number;
  /** Object keys and array elements together. */
  readonly keysMax: number;
}

export type BoundsFault = 'too_deep' | 'too_many_keys';

/** Which bound the value breaks, if any. Goes level by level, so no nesting can exhaust the stack. */
export function boundsFault(value: Json, bounds: JsonBounds): BoundsFault | undefined {
  let level: Json[] = [value];
  let keys = 0;
  for (let depth = 0; level.length > 0; depth++) {
    const next: Json[] = [];
    for (const container of level) {
      if (typeof container !== 'object' || container === null) continue;
      if (depth === bounds.depthMax) return 'too_deep';
      const members = isArray(container) ? container : Object.values(container);
      keys += members.length;
      if (keys > bounds.keysMax) return 'too_many_keys';
      for (const member of members) if (typeof member === 'object' && member !== null) next.push(member);
    }
    level = next;
  }
  return undefined;
}

/** The first `charsMax` characters (code points), so that no pair of surrogates is torn. */
export function truncateChars(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  // A character is at most two units long.
  return Array.from(text.slice(0, 2 * charsMax))
    .slice(0, charsMax)
    .join('');
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
