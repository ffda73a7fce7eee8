/** What left for ClickHouse says what the store says: rows lead home, versions rise, nothing is missing. */

import { asDistinctId, asPersonUuid } from '../../src/event/ids.ts';
import { type FoldedRecord, type Followed, mayChange, sourceOf, stateOf } from './follow.ts';
import {
  ambiguous,
  canonical,
  type EventRow,
  type GroupRow,
  isTooLarge,
  newest,
  type Outputs,
} from './outputs.ts';
import type { Ran } from './run.ts';
import { identityKey } from './sim-store.ts';
import { EPOCH_MS, TEAM, uuidFor } from './world.ts';

export function checkOutputs(ran: Ran, followed: Followed, outputs: Outputs): string[] {
  return [
    ...checkRows(ran, followed, outputs),
    ...checkVersions(outputs),
    ...checkUnfolded(ran, followed, outputs),
    ...checkPersons(ran, outputs),
    ...checkMappings(ran, outputs),
    ...checkGroups(ran, outputs),
  ];
}

const keyOf = (distinctId: string): string =>
  identityKey({ teamId: TEAM, distinctId: asDistinctId(distinctId) });

/** Each row's person, or whom the overrides name, is the one of the row's id; and it was like that at some time. */
function checkRows({ world, records }: Ran, followed: Followed, outputs: Outputs): string[] {
  const failures: string[] = [];
  const overrides = newest(
    outputs.mappings.filter(({ version }) => version > 0),
    ({ distinct_id }) => distinct_id,
  );
  const takenAt = new Map(records.map((record) => [sourceOf(record), EPOCH_MS + record.event.atMs]));
  for (const row of outputs.rows) {
    const home = world.store.ids.get(keyOf(row.distinct_id))?.person ?? uuidFor(row.distinct_id);
    const led = overrides.get(row.distinct_id)?.person_id ?? row.person_id;
    if (led !== home)
      failures.push(`row ${row.source} of ${row.distinct_id} leads to ${led}, not to ${home}`);
    if (row.person_mode === 'propertyless') continue;
    const properties: unknown = JSON.parse(row.person_properties);
    if (!followed.states.has(stateOf(row.person_id, properties))) {
      failures.push(`row ${row.source} shows ${row.person_id} as it never was: ${row.person_properties}`);
    }
    // A repeat may show a later moment; it has an earlier time. What changes nothing may be folded again.
    const folded = followed.folded.get(row.source);
    if (folded === undefined || row.timestampMs !== takenAt.get(row.source)) continue;
    if (mayChange(folded.record.event, world)) failures.push(...checkFirst(row, folded));
  }
  return failures;
}

function checkFirst(row: EventRow, { person, meeting }: FoldedRecord): string[] {
  if (person === undefined || meeting === 'without_profile') return [];
  const [shown, expected] = [
    stateOf(row.person_id, JSON.parse(row.person_properties)),
    stateOf(person.uuid, person.properties),
  ];
  return shown === expected ? [] : [`row ${row.source} shows ${shown}, at its fold it was ${expected}`];
}

/** What was never folded had nothing to change. */
function checkUnfolded(
  { records, world, replays }: Ran,
  { folded, oracle }: Followed,
  { rows, deadLetters }: Outputs,
): string[] {
  const failures: string[] = [];
  // A refused merge is done. A replay that was asked for sends a row of all that is done.
  const refused = new Set(replays > 0 ? deadLetters.filter(isTooLarge).map(({ source }) => source) : []);
  const withRow = new Set(rows.map(({ source }) => source));
  for (const record of records) {
    const source = sourceOf(record);
    if (folded.has(source) || !withRow.has(source) || refused.has(source)) continue;
    const { distinctId, properties } = record.event;
    if (mayChange(record.event, world)) failures.push(`${source} may change something, and was never folded`);
    else if (properties['$process_person_profile'] !== false && !oracle.ids.has(distinctId)) {
      failures.push(`${source} was never folded, and its id has no person`);
    }
  }
  return failures;
}

/** One version says one thing: which of two rows came last does not matter. */
function checkVersions({ persons, mappings, groups }: Outputs): string[] {
  const names = [
    ...ambiguous(persons, ({ id }) => id),
    ...ambiguous(mappings, ({ distinct_id }) => distinct_id),
    ...ambiguous(groups, groupName),
  ];
  return names.map((name) => `there are several rows for ${name}`);
}

function checkPersons({ world: { store }, plan }: Ran, { persons }: Outputs): string[] {
  const failures: string[] = [];
  const kept = newest(persons, ({ id }) => id);
  for (const [uuid, person] of store.persons) {
    const row = kept.get(uuid);
    const is = row && [JSON.parse(row.properties), row.is_identified, row.is_deleted, row.version];
    const shouldBe = [person.properties, person.isIdentified ? 1 : 0, 0, person.version];
    if (canonical(is) !== canonical(shouldBe)) {
      failures.push(`ClickHouse has ${uuid} as ${canonical(is)}, the store as ${canonical(shouldBe)}`);
    }
  }
  for (const [uuid, row] of kept) {
    if (!store.persons.has(asPersonUuid(uuid)) && row.is_deleted === 0)
      failures.push(`${uuid} is gone, but not deleted`);
  }
  // Messages of a process that has ended, or lost its partition, may arrive behind those of the next one.
  if (plan.incidents.length > 0 || plan.weather.failures > 0 || plan.startsMs.length > 1) return failures;
  const last = new Map<string, number>();
  for (const { id, version } of persons) {
    if (version <= (last.get(id) ?? -1)) failures.push(`${id} has version ${version} after ${last.get(id)}`);
    last.set(id, version);
  }
  return failures;
}

function checkMappings({ world: { store } }: Ran, { mappings }: Outputs): string[] {
  const kept = newest(mappings, ({ distinct_id }) => distinct_id);
  return [...store.ids].flatMap(([key, mapping]) => {
    const distinctId = key.slice(key.indexOf(':') + 1);
    const row = kept.get(distinctId);
    if (mapping.version === 0 && mapping.person !== uuidFor(distinctId)) {
      return [`${distinctId} leads to ${mapping.person} without an override`];
    }
    if (row?.person_id === mapping.person && row.version === mapping.version) return [];
    return [
      `ClickHouse has ${distinctId} as ${JSON.stringify(row)}, the store as ${JSON.stringify(mapping)}`,
    ];
  });
}

function checkGroups({ world: { store } }: Ran, { groups }: Outputs): string[] {
  const kept = newest(groups, groupName);
  return [...store.groups.values()].flatMap(({ typeIndex, key, properties, version }) => {
    const row = kept.get(`${typeIndex}:${key}`);
    const is = row && [JSON.parse(row.group_properties), row.version];
    if (canonical(is) === canonical([properties, version])) return [];
    return [
      `ClickHouse has group ${typeIndex}:${key} as ${canonical(is)}, the store ${canonical(properties)}`,
    ];
  });
}

const groupName = ({ group_type_index, group_key }: GroupRow): string => `${group_type_index}:${group_key}`;
