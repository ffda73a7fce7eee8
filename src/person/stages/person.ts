import { VOLATILE_KEYS } from '../client-properties.ts';
import { type Person, UNSAVED_VERSION } from '../person.ts';
import { applyChanges, type Changes, changesOf, propertyChanges } from '../properties.ts';
import { fits, jsonbBytesMax } from '../size.ts';
import type { Stage, Work } from '../work.ts';
import { sizeWarning } from './identity.ts';

/** Events that never change a person that is there. */
const NEVER_CHANGING: ReadonlySet<string> = new Set(['$exception', '$$heatmap', '$groupidentify']);
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
    if (work.mode !== 'full' || work.repeat) return work;
    const { person, event } = work;
    if (person === undefined) return newPerson(work);
    if (NEVER_CHANGING.has(event.name)) return work;
    const changes = changesOf(person.properties, propertyChanges(work.properties));
    if (changes.size === 0) return work;
    const properties = applyChanges(person.properties, changes);
    const changed = { ...person, properties };
    if (!ALWAYS_WRITTEN.has(event.name) && !isWorthWriting(changes, person))
      return { ...work, shown: changed };
    if (!hasRoom(changed, person)) return tooLarge(work, person);
    return { ...work, person: changed };
  },
};

function isWorthWriting(changes: Changes, { properties }: Person): boolean {
  for (const [key, value] of changes) {
    if (value === undefined || !VOLATILE_KEYS.has(key) || !Object.hasOwn(properties, key)) return true;
  }
  return false;
}

function newPerson(work: Work): Work {
  const { event, properties, personUuid, identified } = work;
  const { set, setOnce } = event.name === '$groupidentify' ? NOTHING : propertyChanges(properties);
  const bare: Person = {
    uuid: personUuid,
    teamId: event.teamId,
    createdAtMs: event.timestampMs,
    properties: { $creator_event_uuid: event.uuid },
    isIdentified: identified === true,
    version: UNSAVED_VERSION,
  };
  const person = { ...bare, properties: { ...setOnce, ...set, ...bare.properties } };
  return hasRoom(person, bare) ? { ...work, person } : tooLarge(work, bare);
}

const NOTHING = { set: {}, setOnce: {} };

/** One that is too large already may become smaller. */
function hasRoom(changed: Person, before: Person): boolean {
  return fits(changed.properties) || jsonbBytesMax(changed.properties) <= jsonbBytesMax(before.properties);
}

function tooLarge(work: Work, person: Person): Work {
  const warning = sizeWarning(work, 'what this event sets was left out');
  return { ...work, person, warnings: [...work.warnings, warning] };
}
