/** Changes a JSON value somewhere: its types, members, sizes, depth, texts, ids, times and numbers. */
import type { Chance } from './chance.ts';

export type Value = null | boolean | number | string | Value[] | Members;
export interface Members {
  [key: string]: Value;
}

export const isMembers = (value: Value | undefined): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Numbers that `JSON.stringify` would not write: `toText` puts them in. */
const raw = (number: string): string => `\u0001raw:${number}\u0001`;
const RAW = /"\\u0001raw:([^"\\]*)\\u0001"/g;

export const toText = (value: Value): string => JSON.stringify(value).replace(RAW, '$1');

const NUMBERS: readonly Value[] = [
  0,
  -1,
  1.5,
  2 ** 31,
  2 ** 53,
  1e21,
  1e-7,
  1e308,
  raw('-0'),
  raw('1e400'),
  raw('-1E+400'),
  raw('9007199254740993'),
  raw('123456789012345678901234567890'),
  raw('1e-400'),
];

const TEXTS: readonly string[] = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  'x\udc00\ud83d',
  '\ud83d\ude00',
  '\ufeff',
  '\u202e\u200f',
  'e\u0301\u0301\u0301',
  '\u2028\u2029',
  '\r\n',
  '"\\',
  '$',
  '__proto__',
  'constructor',
  'toString',
  'undefined',
  'null',
  'NaN',
  '[object Object]',
  '0',
  'true',
  'none',
  'anonymous',
  'guest',
  '../../etc/passwd',
  "'; DROP TABLE posthog_person; --",
  '{{7*7}}',
  '\\N',
  '%00',
  '＄set',
];

const TIMES: readonly Value[] = [
  '',
  'yesterday',
  '2026-02-30T00:00:00Z',
  '0000-00-00T00:00:00Z',
  '+275760-09-13T00:00:00.001Z',
  '9999-12-31T23:59:59.999999999Z',
  '1969-12-31T23:59:59Z',
  '-000001-01-01T00:00:00Z',
  '2026-11-22',
  '2026-11-22T10:00:00+23:59',
  '2026-11-22 10:00:00',
  1700000000,
  1700000000000,
  -1,
  8.64e15,
  8.64e15 + 1,
  raw('1e400'),
  '1700000000',
  '2026-W01-1',
  '2038-01-19T03:14:08Z',
  '2299-12-31T23:59:59Z',
  '1900-01-01',
];

/** Names that mean something somewhere on the way. */
const KEYS: readonly string[] = [
  '$set',
  '$set_once',
  '$unset',
  '$groups',
  '$group_0',
  '$group_type',
  '$group_key',
  '$group_set',
  '$ip',
  '$geoip_disable',
  '$lib',
  '$process_person_profile',
  '$cookieless_mode',
  '$ignore_sent_at',
  '$anon_distinct_id',
  'alias',
  'distinct_id',
  '$distinct_id',
  'token',
  '$elements',
  '$elements_chain',
  '$session_id',
  '$window_id',
  '$device_id',
  '$current_url',
  '$timestamp',
  'offset',
  'sent_at',
  'uuid',
  'capture_internal',
  'historical_migration',
  '$heatmap_data',
  '$feature/x',
  '$active_feature_flags',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  '\u0000',
  '\ud800',
  'a.b',
  '$',
  '0',
  'ключ',
  '$sent_at',
  '$event_type',
  '$is_identified',
  '$user_id',
  'options',
  'type',
];

const EVENTS: readonly string[] = [
  '$identify',
  '$create_alias',
  '$merge_dangerously',
  '$groupidentify',
  '$set',
  '$pageview',
  '$autocapture',
  '$exception',
  '$snapshot',
  '$performance_event',
  '$$heatmap',
  '$$client_ingestion_warning',
  '$ai_generation',
  '$feature_flag_called',
  '$web_vitals',
  '$opt_in',
  'survey sent',
];

function odd(chance: Chance): Value {
  switch (chance.integer(12)) {
    case 0:
      return null;
    case 1:
      return chance.oneIn(2);
    case 2:
    case 3:
      return chance.pick(NUMBERS);
    case 4:
    case 5:
    case 6:
      return chance.pick(TEXTS);
    case 7:
      return chance.pick(TIMES);
    case 8:
      return chance.oneIn(2) ? [] : {};
    case 9:
      return [chance.pick(TEXTS), chance.pick(NUMBERS), null];
    case 10:
      return { [chance.pick(KEYS)]: chance.pick(TEXTS) };
    default:
      return large(chance);
  }
}

/** Mostly a little large; seldom so large that an event does not fit. */
function large(chance: Chance): Value {
  if (chance.oneIn(60))
    return chance.pick(['x', 'é', '\u0000', '"']).repeat(chance.between(400_000, 1_100_000));
  switch (chance.integer(4)) {
    case 0:
      return chance.pick([...TEXTS, 'x', 'é']).repeat(chance.between(10, 3_000));
    case 1:
      return deep(chance.between(2, chance.oneIn(8) ? 150 : 60), chance.oneIn(2));
    case 2:
      return Array.from({ length: chance.between(1, chance.oneIn(20) ? 4_000 : 200) }, (_, index) => index);
    default:
      return Object.fromEntries(
        Array.from({ length: chance.between(1, 300) }, (_, index) => [`k${index}`, index]),
      );
  }
}

function deep(levels: number, isArray: boolean): Value {
  let value: Value = 1;
  for (let level = 0; level < levels; level++) value = isArray ? [value] : { a: value };
  return value;
}

/** As deep as you like: only its text is. */
export const deepArray = (levels: number): Value => raw(`${'['.repeat(levels)}${']'.repeat(levels)}`);

/** A value and where it is. */
interface Place {
  readonly parent: Members | Value[];
  readonly key: string;
}

/** Enough for any recorded body. */
const PLACES_MAX = 5_000;

function placesIn(root: Value): Place[] {
  const found: Place[] = [];
  const waiting: Value[] = [root];
  for (let next = waiting.pop(); next !== undefined && found.length < PLACES_MAX; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    for (const [key, child] of Object.entries(next)) {
      found.push({ parent: next, key });
      waiting.push(child);
    }
  }
  return found;
}

const get = ({ parent, key }: Place): Value | undefined =>
  Object.getOwnPropertyDescriptor(parent, key)?.value;

/** `__proto__` is a key like any other. */
function put(parent: Members | Value[], key: string, value: Value): void {
  Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true });
}

function remove({ parent, key }: Place): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else Reflect.deleteProperty(parent, key);
}

/** Changes one place of `root`, which must be an object or an array, and says how. */
export function mutateJson(root: Value, chance: Chance): string {
  const places = placesIn(root);
  if (places.length === 0) return 'nothing to change';
  const place = chance.pick(places);
  const { parent, key } = place;
  const old = get(place);
  const at = JSON.stringify(key);
  switch (chance.integer(14)) {
    case 0:
      remove(place);
      return `without ${at}`;
    case 1:
      put(parent, key, [old ?? null]);
      return `${at} in an array`;
    case 2:
      put(parent, key, typeof old === 'string' ? Number(old) : JSON.stringify(old ?? null));
      return `${at} of another type`;
    case 3:
    case 4: {
      const name = chance.pick(KEYS);
      const target = isMembers(old) ? old : parent;
      if (Array.isArray(target)) target.push(odd(chance));
      else put(target, name, odd(chance));
      return `${JSON.stringify(name)} added at ${at}`;
    }
    case 5: {
      const other = chance.pick(places);
      put(parent, key, structuredClone(get(other) ?? null));
      return `${at} is what ${JSON.stringify(other.key)} is`;
    }
    case 6:
      if (Array.isArray(parent)) return `no name for ${at}`;
      remove(place);
      put(parent, `${key}${chance.pick(TEXTS)}`, old ?? null);
      return `${at} renamed`;
    case 7:
      if (typeof old !== 'string') return `no text at ${at}`;
      put(parent, key, `${old}${chance.pick(TEXTS)}`);
      return `${at} with an odd end`;
    default: {
      const value = fitting(key, chance);
      put(parent, key, value);
      return `${at} replaced by ${JSON.stringify(value)?.slice(0, 60)}`;
    }
  }
}

/** Where a key means something, mostly what means something there. */
function fitting(key: string, chance: Chance): Value {
  if (chance.oneIn(3)) return odd(chance);
  if (key === 'event') return chance.pick(EVENTS);
  if (/timestamp|_at$|^time$|offset/i.test(key)) return chance.pick(TIMES);
  if (/distinct_id|userId|anonymousId|alias|previousId|group/i.test(key))
    return chance.pick([...TEXTS, ...NUMBERS, 'x'.repeat(250)]);
  return odd(chance);
}
