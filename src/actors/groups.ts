/**
 * Groups as this process knows them: which place each group type has, and what event rows show. Changes are applied
 * here when they are dispatched and in Postgres with their save; a row may show one that is not saved yet.
 */
import { LRUCache } from 'lru-cache';
import type { EventWarning, PipelineEvent } from '../event/event.ts';
import { type GroupName, type GroupsOfEvent, groupsOf } from '../event/groups.ts';
import type { TeamId } from '../event/ids.ts';
import type { GroupOnRow } from '../event/rows.ts';
import {
  changeGroup,
  type Group,
  type GroupChange,
  type GroupId,
  groupKey,
  NO_GROUPS,
  type ResolvedGroups,
} from '../person/group.ts';
import type { GroupType, GroupTypeId } from '../storage/person-store.ts';
import type { GroupNews } from './tail.ts';

type Lookup = { readonly index: number | undefined };
type State = { readonly group: Group | undefined };

/** List and map entries, objects, strings' headers. */
const GROUP_OVERHEAD_BYTES = 500;
const BYTES_PER_JSON_CHAR = 4;

/** An event, and whether it belongs to its groups: without a profile it can only describe one. */
export interface AskedGroups {
  readonly event: PipelineEvent;
  readonly wantsProfile: boolean;
}

/** What has to be read before events can be dispatched. */
export interface MissingGroups {
  readonly types: readonly GroupTypeId[];
  readonly groups: readonly GroupId[];
}

export class Groups {
  readonly #types: LRUCache<string, Lookup>;
  readonly #states: LRUCache<string, State>;
  /** Read for the next events: the caches may be too small to keep it until then. */
  readonly #learnedTypes = new Map<string, Lookup>();
  readonly #learnedStates = new Map<string, State>();
  /** Changes that no save has confirmed yet. */
  readonly #unsaved = new Map<string, number>();
  /** The newest version of each group with such changes that the log has told of. */
  readonly #heard = new Map<string, number>();

  constructor(typesMax: number, bytesMax: number) {
    this.#types = new LRUCache({ max: typesMax });
    this.#states = new LRUCache({
      maxSize: bytesMax,
      sizeCalculation: ({ group }) =>
        GROUP_OVERHEAD_BYTES + (group ? JSON.stringify(group.properties).length * BYTES_PER_JSON_CHAR : 0),
    });
  }

  /** Group types first: groups can be named only once their types have a place. */
  missing(asked: readonly AskedGroups[]): MissingGroups | undefined {
    const types = new Map<string, GroupTypeId>();
    const groups = new Map<string, GroupId>();
    for (const { event, wantsProfile } of asked) {
      const { names, identify } = groupsOf(event);
      const own = wantsProfile ? names : [];
      for (const name of identify ? [...own, identify] : own) {
        const type = this.#typeOf(event.teamId, name.type);
        if (type === undefined) {
          types.set(typeKey(event.teamId, name.type), { teamId: event.teamId, type: name.type });
        } else if (type.index !== undefined) {
          const id = { teamId: event.teamId, typeIndex: type.index, key: name.key };
          if (this.#stateOf(groupKey(id)) === undefined) groups.set(groupKey(id), id);
        }
      }
    }
    if (types.size + groups.size === 0) return undefined;
    return { types: [...types.values()], groups: [...groups.values()] };
  }

  learnTypes(types: readonly GroupType[]): void {
    for (const { teamId, type, index } of types) {
      this.#types.set(typeKey(teamId, type), { index });
      this.#learnedTypes.set(typeKey(teamId, type), { index });
    }
  }

  /**
   * `asked` and not `found`: nobody has described that group yet. `versions`: the least to believe, of some groups; what is
   * older is asked for again.
   */
  learnGroups(
    asked: readonly GroupId[],
    found: readonly Group[],
    versions: ReadonlyMap<string, number>,
  ): void {
    const byKey = new Map(found.map((group) => [groupKey(group), group]));
    for (const id of asked) {
      const key = groupKey(id);
      if (isOlder(byKey.get(key), versions.get(key))) continue;
      // Where a change is on its way, what was dispatched is newer than what was read.
      if (this.#stateOf(key) !== undefined && this.#unsaved.has(key)) continue;
      const state = { group: byKey.get(key) };
      this.#states.set(key, state);
      this.#learnedStates.set(key, state);
    }
  }

  /** What was learned has served. */
  forgetLearned(): void {
    this.#learnedTypes.clear();
    this.#learnedStates.clear();
  }

  /**
   * What the event's row shows, and the change that it asks for, which counts as made from now on. `wantsProfile`:
   * without one an event belongs to no group.
   */
  resolve(event: PipelineEvent, wantsProfile: boolean, repeat: boolean, order: number): ResolvedGroups {
    const asked = groupsOf(event);
    if (asked.names.length === 0 && asked.identify === undefined && asked.warnings.length === 0)
      return NO_GROUPS;
    const warnings = [...asked.warnings];
    const change = repeat ? undefined : this.#change(event, asked, order, warnings);
    if (change) {
      const key = groupKey(change);
      const outcome = changeGroup(this.#stateOf(key)?.group, change);
      if (outcome.kind === 'changed') this.#keep(key, { group: outcome.group });
      this.#unsaved.set(key, (this.#unsaved.get(key) ?? 0) + 1);
    }
    const shown = wantsProfile ? asked.names.flatMap((name) => this.#shown(event, name, warnings)) : [];
    return { shown, change, warnings };
  }

  /** The change is saved, or has ended without one; `saved` is the group as it is then, if it was written. */
  settle(change: GroupChange, saved: Group | undefined): void {
    const key = groupKey(change);
    const heard = this.#heard.get(key);
    this.#unpin(key);
    if (this.#unsaved.has(key)) return;
    if (saved) this.#keep(key, { group: saved });
    if (isOlder(this.#stateOf(key)?.group, heard)) this.#drop(key);
  }

  /** The log tells of a version. One that is newer than what is known here: it is read again when it is needed. */
  hear({ key, version }: GroupNews): void {
    if (this.#unsaved.has(key)) this.#heard.set(key, Math.max(version, this.#heard.get(key) ?? version));
    else if (isOlder(this.#stateOf(key)?.group, version)) this.#drop(key);
  }

  /** The change is redone, or was refused: the group is read again. */
  forget(change: GroupChange): void {
    const key = groupKey(change);
    this.#unpin(key);
    this.#drop(key);
  }

  /** Any group may have been changed elsewhere. */
  distrust(): void {
    for (const key of this.#states.keys()) this.hear({ key, version: Number.POSITIVE_INFINITY });
  }

  #drop(key: string): void {
    this.#states.delete(key);
    this.#learnedStates.delete(key);
  }

  #keep(key: string, state: State): void {
    this.#states.set(key, state);
    if (this.#learnedStates.has(key)) this.#learnedStates.set(key, state);
  }

  #typeOf(teamId: TeamId, type: string): Lookup | undefined {
    const key = typeKey(teamId, type);
    return this.#types.get(key) ?? this.#learnedTypes.get(key);
  }

  #stateOf(key: string): State | undefined {
    return this.#states.get(key) ?? this.#learnedStates.get(key);
  }

  #unpin(key: string): void {
    const left = (this.#unsaved.get(key) ?? 1) - 1;
    if (left === 0) {
      this.#unsaved.delete(key);
      this.#heard.delete(key);
    } else this.#unsaved.set(key, left);
  }

  #change(
    event: PipelineEvent,
    { identify }: GroupsOfEvent,
    order: number,
    warnings: EventWarning[],
  ): GroupChange | undefined {
    if (identify === undefined) return undefined;
    const typeIndex = this.#typeIndex(event, identify, warnings);
    if (typeIndex === undefined) return undefined;
    const { key, set } = identify;
    return { teamId: event.teamId, typeIndex, key, set, timestampMs: event.timestampMs, order };
  }

  #shown(event: PipelineEvent, name: GroupName, warnings: EventWarning[]): GroupOnRow[] {
    const typeIndex = this.#typeIndex(event, name, warnings);
    if (typeIndex === undefined) return [];
    const group = this.#stateOf(groupKey({ teamId: event.teamId, typeIndex, key: name.key }))?.group;
    return [
      { typeIndex, key: name.key, properties: group?.properties ?? {}, createdAtMs: group?.createdAtMs },
    ];
  }

  #typeIndex(event: PipelineEvent, { type }: GroupName, warnings: EventWarning[]): number | undefined {
    const index = this.#typeOf(event.teamId, type)?.index;
    if (index === undefined) {
      const details = {
        eventUuid: event.uuid,
        distinctId: event.distinctId,
        groupType: type,
        message: 'a project has at most five group types: this one is ignored',
      };
      warnings.push({ type: 'too_many_group_types', sourceId: type, details });
    }
    return index;
  }
}

const isOlder = (group: Group | undefined, version: number | undefined): boolean =>
  version !== undefined && (group?.version ?? 0) < version;

const typeKey = (teamId: TeamId, type: string): string => `${teamId}:${type}`;
