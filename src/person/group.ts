/** Groups: companies, teams and the like, which many persons share. Folded on their own rows, apart from the persons. */
import type { EventWarning } from '../event/event.ts';
import type { TeamId } from '../event/ids.ts';
import type { JsonObject } from '../event/json.ts';
import type { GroupOnRow } from '../event/rows.ts';
import { sameJson } from './properties.ts';
import { fits } from './size.ts';

/** `typeIndex`: 0 to 4, the group type's place in the project. */
export interface GroupId {
  readonly teamId: TeamId;
  readonly typeIndex: number;
  readonly key: string;
}

export interface Group extends GroupId {
  readonly properties: JsonObject;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** Rises with every change; 1 for a new group. */
  readonly version: number;
}

/** What a `$groupidentify` asks for. */
export interface GroupChange extends GroupId {
  readonly set: JsonObject;
  readonly timestampMs: number;
  /** Rises with every event that is dispatched: the changes of one save are made in this order, whoever's they are. */
  readonly order: number;
}

/** Changes of several works, each with its work, in the order in which they were dispatched. */
export function inDispatchOrder<Work>(
  works: readonly { readonly work: Work; readonly changes: readonly GroupChange[] }[],
): readonly { readonly work: Work; readonly change: GroupChange }[] {
  return works
    .flatMap(({ work, changes }) => changes.map((change) => ({ work, change })))
    .toSorted((a, b) => a.change.order - b.change.order);
}

/** The groups of one event, as the dispatcher found them. */
export interface ResolvedGroups {
  /** What the event's row shows: at most one for each group type. */
  readonly shown: readonly GroupOnRow[];
  /** Of a `$groupidentify`. */
  readonly change: GroupChange | undefined;
  readonly warnings: readonly EventWarning[];
}

export const NO_GROUPS: ResolvedGroups = { shown: [], change: undefined, warnings: [] };

export type GroupOutcome =
  | { readonly kind: 'changed'; readonly group: Group }
  | { readonly kind: 'same' }
  /** The properties would be too large: the group stays as it is. */
  | { readonly kind: 'too_large' };

/** The group after the change. New values win; nothing is ever removed. */
export function changeGroup(group: Group | undefined, change: GroupChange): GroupOutcome {
  const { teamId, typeIndex, key, set, timestampMs } = change;
  if (group === undefined) {
    if (!fits(set)) return { kind: 'too_large' };
    return {
      kind: 'changed',
      group: { teamId, typeIndex, key, properties: set, createdAtMs: timestampMs, version: 1 },
    };
  }
  const properties = { ...group.properties, ...set };
  const createdAtMs = Math.min(group.createdAtMs, timestampMs);
  if (createdAtMs === group.createdAtMs && sameJson(properties, group.properties)) return { kind: 'same' };
  if (!fits(properties)) return { kind: 'too_large' };
  return { kind: 'changed', group: { ...group, properties, createdAtMs, version: group.version + 1 } };
}

export const groupKey = ({ teamId, typeIndex, key }: GroupId): string => `${teamId}:${typeIndex}:${key}`;
