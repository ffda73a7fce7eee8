import type { Json, JsonObject } from '../../event/json.ts';
import type { Stage } from '../work.ts';

/** `$groups` become `$group_0` to `$group_4`, by the group types' places in the project. */
const KEYS = ['$group_0', '$group_1', '$group_2', '$group_3', '$group_4'] as const;

function withoutGroups(properties: JsonObject): JsonObject {
  if (!KEYS.some((key) => key in properties)) return properties;
  const rest: Record<string, Json> = { ...properties };
  for (const key of KEYS) delete rest[key];
  return rest;
}

export const groupsStage: Stage = {
  name: 'groups',
  run(work) {
    const { groups } = work;
    const warnings = groups.warnings.length > 0 ? [...work.warnings, ...groups.warnings] : work.warnings;
    if (work.mode === 'propertyless') {
      return {
        ...work,
        warnings,
        properties: withoutGroups(work.properties),
        groups: { ...groups, shown: [] },
      };
    }
    if (groups.shown.length === 0) return warnings === work.warnings ? work : { ...work, warnings };
    const properties: Record<string, Json> = { ...work.properties };
    for (const { typeIndex, key } of groups.shown) properties[`$group_${typeIndex}`] = key;
    return { ...work, warnings, properties };
  },
};
