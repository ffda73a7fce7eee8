/** How `$set`, `$set_once` and `$unset` of an event change a person's properties. */
import { isJsonObject, type Json, type JsonObject, objectOrEmpty } from '../event/json.ts';

/** What an event asks for; empty where it asks for nothing. */
export interface PropertyChanges {
  readonly set: JsonObject;
  readonly setOnce: JsonObject;
  readonly unset: readonly string[];
}

/** Read from the event's properties. What is not an object (for `$unset`: a list of names or an object) is ignored. */
export function propertyChanges(properties: JsonObject): PropertyChanges {
  return {
    set: objectOrEmpty(properties['$set']),
    setOnce: objectOrEmpty(properties['$set_once']),
    unset: names(properties['$unset']),
  };
}

export function hasChanges({ set, setOnce, unset }: PropertyChanges): boolean {
  return unset.length > 0 || !isEmpty(set) || !isEmpty(setOnce);
}

/** New values by key; `undefined`: the key goes. */
export type Changes = ReadonlyMap<string, Json | undefined>;

/**
 * What the event changes. `$set` writes, `$set_once` writes where there is nothing or null, `$unset` then removes what
 * the person had before.
 */
export function changesOf(current: JsonObject, { set, setOnce, unset }: PropertyChanges): Changes {
  const changed = new Map<string, Json | undefined>();
  for (const key of Object.keys(setOnce)) {
    if ((ownValue(current, key) ?? null) === null) note(changed, current, key, setOnce[key]);
  }
  for (const key of Object.keys(set)) note(changed, current, key, set[key]);
  for (const key of unset) if (Object.hasOwn(current, key)) changed.set(key, undefined);
  return changed;
}

/** The properties after the changes. */
export function applyChanges(current: JsonObject, changes: Changes): JsonObject {
  const entries = Object.entries(current).filter(([key]) => !changes.has(key));
  for (const [key, value] of changes) if (value !== undefined) entries.push([key, value]);
  return Object.fromEntries(entries);
}

function note(
  changed: Map<string, Json | undefined>,
  current: JsonObject,
  key: string,
  value: Json | undefined,
) {
  if (sameJson(ownValue(current, key), value)) changed.delete(key);
  else changed.set(key, value);
}

/** A plain read would find `__proto__` and `constructor` on every object. */
const ownValue = (object: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

/** Equal as JSON texts are: members in any order. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
  );
}

function names(value: Json | undefined): string[] {
  if (Array.isArray(value)) return value.filter((name): name is string => typeof name === 'string');
  return isJsonObject(value) ? Object.keys(value) : [];
}

function isEmpty(object: JsonObject): boolean {
  for (const _ in object) return false;
  return true;
}
