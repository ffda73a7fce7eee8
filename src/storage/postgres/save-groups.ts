/** Groups have no owner: their changes are folded here, on the locked rows, after the persons of the save. */
import {
  changeGroup,
  type Group,
  type GroupChange,
  type GroupId,
  groupKey,
  inDispatchOrder,
} from '../../person/group.ts';
import type { PersonWork } from '../person-store.ts';
import { GROUP_COLUMNS, type GroupRow, groupColumns, toGroup } from './group-rows.ts';
import type { Queryable } from './pool.ts';
import type { Confirmed } from './save-beliefs.ts';

/**
 * Places for the groups that are missing. In this order, and all before the first lock: two saves never wait for each
 * other in a circle. Only what is missing, since a conflict, too, takes a number of the sequence.
 */
const INSERT_MISSING = `
  INSERT INTO posthog_group AS g (team_id, group_type_index, group_key, group_properties, created_at,
    properties_last_updated_at, properties_last_operation, version)
  SELECT s.team_id, s.type_index, s.key, '{}', now(), '{}', '{}', 0
  FROM unnest($1::int[], $2::int[], $3::text[]) AS s (team_id, type_index, key)
  WHERE NOT EXISTS (SELECT FROM posthog_group t
    WHERE t.team_id = s.team_id AND t.group_type_index = s.type_index AND t.group_key = s.key)
  ORDER BY s.team_id, s.type_index, s.key COLLATE "C"
  ON CONFLICT DO NOTHING
  RETURNING g.id`;

const LOCK_GROUPS = `
  SELECT g.id, ${GROUP_COLUMNS} FROM posthog_group g
  JOIN unnest($1::int[], $2::int[], $3::text[]) AS s (team_id, type_index, key)
    ON g.team_id = s.team_id AND g.group_type_index = s.type_index AND g.group_key = s.key
  ORDER BY g.team_id, g.group_type_index, g.group_key COLLATE "C" FOR UPDATE OF g`;

const UPDATE_GROUPS = `
  UPDATE posthog_group AS g SET group_properties = s.properties, created_at = to_timestamp(s.created_ms / 1000.0),
    properties_last_updated_at = '{}', properties_last_operation = '{}', version = s.version
  FROM unnest($1::bigint[], $2::jsonb[], $3::float8[], $4::bigint[]) AS s (id, properties, created_ms, version)
  WHERE g.id = s.id`;

const DELETE_UNUSED = 'DELETE FROM posthog_group WHERE id = ANY($1::bigint[])';

/** Of one work. */
export interface SavedGroups {
  /** Groups which the save changed and the work had a part in. */
  readonly touched: readonly GroupId[];
  /** Groups which no later work of the save changed, after all changes. */
  readonly changed: readonly Group[];
  readonly oversized: readonly GroupChange[];
}

interface LockedGroup {
  readonly id: number;
  /** As it is by now; `undefined`: not made yet. */
  group: Group | undefined;
  /** The last work that changed it. */
  changedBy: PersonWork | undefined;
}

export async function writeGroups(
  postgres: Queryable,
  confirmed: readonly Confirmed[],
): Promise<ReadonlyMap<PersonWork, SavedGroups>> {
  const changing = confirmed.filter(({ folded }) => folded.groupChanges.length > 0);
  if (changing.length === 0) return new Map();
  const changes = changing.flatMap(({ folded }) => folded.groupChanges);
  const ids = new Map(changes.map((change) => [groupKey(change), change]));
  const locked = await lockGroups(postgres, [...ids.values()]);
  const oversized = applyChanges(changing, locked);
  await write(postgres, [...locked.values()]);
  return new Map(
    changing.map(({ work, folded }) => {
      const keys = [...new Set(folded.groupChanges.map(groupKey))];
      const touched = keys.flatMap((key) => {
        const { group, changedBy } = lockedGroup(locked, key);
        return group && changedBy ? [{ group, changedBy }] : [];
      });
      const saved: SavedGroups = {
        touched: touched.map(({ group: { teamId, typeIndex, key } }) => ({ teamId, typeIndex, key })),
        changed: touched.filter(({ changedBy }) => changedBy === work).map(({ group }) => group),
        oversized: oversized.get(work) ?? [],
      };
      return [work, saved];
    }),
  );
}

async function lockGroups(
  postgres: Queryable,
  groups: readonly GroupId[],
): Promise<ReadonlyMap<string, LockedGroup>> {
  const asked = groupColumns(groups);
  const { rows: missing } = await postgres.query<{ id: number }>(INSERT_MISSING, asked);
  const made = new Set(missing.map(({ id }) => id));
  const { rows } = await postgres.query<GroupRow & { id: number }>(LOCK_GROUPS, asked);
  return new Map(
    rows.map((row) => {
      const group = toGroup(row);
      return [
        groupKey(group),
        { id: row.id, group: made.has(row.id) ? undefined : group, changedBy: undefined },
      ];
    }),
  );
}

function lockedGroup(locked: ReadonlyMap<string, LockedGroup>, key: string): LockedGroup {
  const group = locked.get(key);
  if (group === undefined) throw new Error(`group ${key} was deleted while the save was under way`);
  return group;
}

/** Returns the changes that would have made a group too large. */
function applyChanges(
  changing: readonly Confirmed[],
  locked: ReadonlyMap<string, LockedGroup>,
): ReadonlyMap<PersonWork, readonly GroupChange[]> {
  const oversized = new Map<PersonWork, GroupChange[]>();
  const changes = changing.map(({ work, folded }) => ({ work, changes: folded.groupChanges }));
  for (const { work, change } of inDispatchOrder(changes)) {
    const row = lockedGroup(locked, groupKey(change));
    const outcome = changeGroup(row.group, change);
    if (outcome.kind === 'changed') {
      row.group = outcome.group;
      row.changedBy = work;
    } else if (outcome.kind === 'too_large') {
      oversized.set(work, [...(oversized.get(work) ?? []), change]);
    }
  }
  return oversized;
}

async function write(postgres: Queryable, rows: readonly LockedGroup[]): Promise<void> {
  const changed = rows.flatMap(({ id, group, changedBy }) => (group && changedBy ? [{ id, group }] : []));
  if (changed.length > 0) {
    await postgres.query(UPDATE_GROUPS, [
      changed.map(({ id }) => id),
      changed.map(({ group }) => JSON.stringify(group.properties)),
      changed.map(({ group }) => group.createdAtMs),
      changed.map(({ group }) => group.version),
    ]);
  }
  const unused = rows.filter(({ group }) => group === undefined).map(({ id }) => id);
  if (unused.length > 0) await postgres.query(DELETE_UNUSED, [unused]);
}
