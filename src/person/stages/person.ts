import { VOLATILE_KEYS } from '../client-properties.ts';
import type { Person } from '../person.ts';
import { applyChanges, type Changes, changesOf, propertyChanges } from '../properties.ts';
import type { Stage, Work } from '../work.ts';

/** Events that never change a person that is there. */
const NEVER_CHANGING: ReadonlySet<string> = new Set(['$exception', '$$heatmap']);
/** Events that are about the person: whatever they change is written. */
const ALWAYS_WRITTEN: ReadonlySet<string> = new Set([
  '$identify',
  '$create_alias',
  '$merge_dangerously',
  '$set',
]);

/** Makes the person where there is none, and folds `$set`, `$set_once` and `$unset` into it. */
export const personStage: Stage = {
  name: 'person',
  run(work) {
    if (work.mode !== 'full') return work;
    const { person, event } = work;
    if (person === undefined) return { ...work, person: newPerson(work) };
    if (NEVER_CHANGING.has(event.name)) return work;
    const changes = changesOf(person.properties, propertyChanges(work.properties));
    if (changes.size === 0) return work;
    const changed = { ...person, properties: applyChanges(person.properties, changes) };
    if (!ALWAYS_WRITTEN.has(event.name) && !isWorthWriting(changes, person))
      return { ...work, shown: changed };
    return { ...work, person: changed };
  },
};

function isWorthWriting(changes: Changes, { properties }: Person): boolean {
  for (const [key, value] of changes) {
    if (value === undefined || !VOLATILE_KEYS.has(key) || !Object.hasOwn(properties, key)) return true;
  }
  return false;
}

function newPerson({ event, properties, personUuid }: Work): Person {
  const { set, setOnce } = propertyChanges(properties);
  return {
    uuid: personUuid,
    teamId: event.teamId,
    createdAtMs: event.timestampMs,
    properties: { ...setOnce, ...set, $creator_event_uuid: event.uuid },
    isIdentified: false,
    version: 0,
  };
}
