/** What an event says about groups, before the project's group types are looked up. */
import type { EventWarning, PipelineEvent } from './event.ts';
import { isJsonObject, type JsonObject } from './json.ts';

/** A group in the client's words. */
export interface GroupName {
  readonly type: string;
  readonly key: string;
}

/** `$groupidentify`: what a group's properties become. */
export interface GroupIdentify extends GroupName {
  readonly set: JsonObject;
}

export interface GroupsOfEvent {
  /** `$groups`: which groups the event belongs to. */
  readonly names: readonly GroupName[];
  readonly identify: GroupIdentify | undefined;
  readonly warnings: readonly EventWarning[];
}

/** Characters of a group type or key that Postgres keeps. */
const GROUP_NAME_CHARS_MAX = 400;
const NONE: GroupsOfEvent = { names: [], identify: undefined, warnings: [] };

/** `undefined` in the result's `identify` where type or key is missing, too long or no text. */
export function groupsOf(event: PipelineEvent): GroupsOfEvent {
  const { properties, name } = event;
  const groups = properties['$groups'];
  const isIdentify = name === '$groupidentify';
  if (!isIdentify && !isJsonObject(groups)) return NONE;
  const warnings: EventWarning[] = [];
  const names: GroupName[] = [];
  if (isJsonObject(groups)) {
    for (const [type, key] of Object.entries(groups)) {
      const found = groupName(event, type, key, warnings);
      if (found) names.push(found);
    }
  }
  let identify: GroupIdentify | undefined;
  if (isIdentify) {
    const found = groupName(event, properties['$group_type'], properties['$group_key'], warnings);
    const set = properties['$group_set'];
    if (set !== undefined && set !== null && !isJsonObject(set)) {
      warnings.push(warning(event, 'invalid_group_set', { message: '$group_set is not an object: ignored' }));
    }
    if (found) identify = { ...found, set: isJsonObject(set) ? set : {} };
  }
  return { names, identify, warnings };
}

function groupName(
  event: PipelineEvent,
  type: unknown,
  key: unknown,
  warnings: EventWarning[],
): GroupName | undefined {
  const name = { type: textOf(type), key: textOf(key) };
  if (name.type === '' || name.key === '') return undefined;
  if (isTooLong(name.type) || isTooLong(name.key)) {
    warnings.push(
      warning(event, 'group_key_too_long', {
        groupType: name.type.slice(0, GROUP_NAME_CHARS_MAX),
        groupKey: name.key.slice(0, GROUP_NAME_CHARS_MAX),
        message: `a group's type and key have at most ${GROUP_NAME_CHARS_MAX} characters: ignored`,
      }),
    );
    return undefined;
  }
  return name;
}

function warning(event: PipelineEvent, type: EventWarning['type'], details: JsonObject): EventWarning {
  return {
    type,
    sourceId: event.distinctId,
    details: { eventUuid: event.uuid, distinctId: event.distinctId, ...details },
  };
}

const isTooLong = (text: string): boolean =>
  text.length > GROUP_NAME_CHARS_MAX && Array.from(text).length > GROUP_NAME_CHARS_MAX;

/** A number, too: companies have them as keys. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
