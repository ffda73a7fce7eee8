import type { EventWarning } from '../../event/event.ts';
import type { DistinctId } from '../../event/ids.ts';
import type { JsonObject } from '../../event/json.ts';
import { type MergeRequest, mergeRequest } from '../merge.ts';
import type { Person } from '../person.ts';
import { fits, PROPERTIES_BYTES_MAX } from '../size.ts';
import type { Stage, Work } from '../work.ts';

/** Finds the event's person; `$identify`, `$create_alias` and `$merge_dangerously` join two ids on the way. */
export const identityStage: Stage = {
  name: 'identity',
  run(work) {
    if (work.mode !== 'full' || work.repeat) return work;
    const request = mergeRequest(work.event);
    if (request === undefined) return alone(work);
    if (request.illegalId !== undefined) return alone(withWarning(work, illegalWarning(work, request)));
    const noted = request.truncated ? withWarning(work, truncatedWarning(work, request)) : work;
    const joined = join(noted, request);
    return joined.person === undefined
      ? { ...joined, identified: true }
      : { ...joined, person: identified(joined.person) };
  },
};

/** An id without a person joins the one that is there under the decided UUID, or gets a new one. */
function alone(work: Work): Work {
  if (work.person !== undefined) return work;
  return {
    ...work,
    person: work.known.persons.get(work.personUuid),
    attached: [work.event.distinctId],
  };
}

function join(work: Work, { otherId, dangerously }: MergeRequest): Work {
  const { event, known, person } = work;
  const otherUuid = known.ids.get(otherId);
  const other = otherUuid === undefined ? undefined : known.persons.get(otherUuid);
  if (other === undefined) {
    if (person !== undefined) return { ...work, attached: [otherId] };
    const made = alone(work);
    return { ...made, attached: [event.distinctId, otherId] };
  }
  if (person === undefined) {
    return { ...work, person: other, personUuid: other.uuid, attached: [event.distinctId] };
  }
  if (person === other) return work;
  if (other.isIdentified && !dangerously) return withWarning(work, refusedWarning(work, otherId));
  if (work.overfull.has(other.uuid)) {
    const message = `${otherId} leads to a person with more distinct ids than one merge may move`;
    return { ...work, refused: { reason: 'merge_too_large', message } };
  }
  const properties = { ...other.properties, ...person.properties };
  const hasRoom = fits(properties);
  const merged: Person = {
    ...person,
    createdAtMs: Math.min(person.createdAtMs, other.createdAtMs),
    properties: hasRoom ? properties : person.properties,
    version: Math.max(person.version, other.version),
  };
  const next = { ...work, person: merged, mergedAway: other };
  return hasRoom ? next : withWarning(next, sizeWarning(next, `the properties of ${otherId} were left out`));
}

const identified = (person: Person): Person =>
  person.isIdentified ? person : { ...person, isIdentified: true };

const withWarning = (work: Work, warning: EventWarning): Work => ({
  ...work,
  warnings: [...work.warnings, warning],
});

function warning(
  work: Work,
  type: EventWarning['type'],
  sourceId: string,
  details: JsonObject,
): EventWarning {
  const { uuid, name } = work.event;
  return { type, sourceId, details: { eventUuid: uuid, event: name, ...details } };
}

function illegalWarning(work: Work, { illegalId, otherId }: MergeRequest): EventWarning {
  const { distinctId } = work.event;
  return warning(work, 'cannot_merge_with_illegal_distinct_id', illegalId ?? otherId, {
    illegalDistinctId: illegalId ?? otherId,
    otherDistinctId: illegalId === distinctId ? otherId : distinctId,
  });
}

function truncatedWarning(work: Work, { otherId }: MergeRequest): EventWarning {
  return warning(work, 'distinct_id_truncated', otherId, { distinctId: otherId });
}

function refusedWarning(work: Work, source: DistinctId): EventWarning {
  const { distinctId } = work.event;
  return warning(work, 'cannot_merge_already_identified', distinctId, {
    sourcePersonDistinctId: source,
    targetPersonDistinctId: distinctId,
  });
}

/** `message`: what became of the properties. */
export function sizeWarning(work: Work, message: string): EventWarning {
  const { distinctId } = work.event;
  return warning(work, 'person_properties_size_violation', distinctId, {
    personId: work.personUuid,
    distinctId,
    message: `a person's properties take at most ${PROPERTIES_BYTES_MAX} bytes: ${message}`,
  });
}
