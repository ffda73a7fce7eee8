import type { Person } from '../person.ts';
import { applyChanges, propertyChanges } from '../properties.ts';
import type { Stage, Work } from '../work.ts';

/** Makes the person where there is none, and folds `$set`, `$set_once` and `$unset` into it. */
export const personStage: Stage = {
  name: 'person',
  run(work) {
    if (work.mode === 'propertyless') return work;
    if (work.person === undefined) return { ...work, person: newPerson(work) };
    const properties = applyChanges(work.person.properties, propertyChanges(work.properties));
    if (properties === work.person.properties) return work;
    return { ...work, person: { ...work.person, properties } };
  },
};

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
