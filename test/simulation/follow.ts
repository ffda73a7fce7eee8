/** Folds the records one after another, in the order that the witness gives. */
import type { HistoryEvent } from './history.ts';
import { isIllegal, type Meeting, Oracle, type OraclePerson, otherIdOf } from './oracle.ts';
import { canonical, type Outputs } from './outputs.ts';
import type { Ran, SentRecord } from './run.ts';

export interface FoldedRecord {
  readonly record: SentRecord;
  /** When its save was committed, from the beginning. */
  readonly atMs: number;
  readonly meeting: Meeting;
  /** Whose it was then, and as the record left it. */
  readonly person: OraclePerson | undefined;
}

export interface Followed {
  readonly oracle: Oracle;
  /** By source, in the order of the witness. */
  readonly folded: ReadonlyMap<string, FoldedRecord>;
  /** Every state that a person ever had: `stateOf`. */
  readonly states: ReadonlySet<string>;
  readonly failures: readonly string[];
}

export const uuidFor = (distinctId: string): string => `person of ${distinctId}`;
export const sourceOf = ({ partition, offset }: { partition: number; offset: number }): string =>
  `${partition}:${offset}`;
export const stateOf = (uuid: string, properties: unknown): string => `${uuid} ${canonical(properties)}`;

export function followWitness({ world, records }: Ran, { deadLetters }: Outputs): Followed {
  const oracle = new Oracle(uuidFor);
  const bySource = new Map(records.map((record) => [sourceOf(record), record]));
  const failed = new Set(deadLetters.map(({ source }) => source));
  const folded = new Map<string, FoldedRecord>();
  const states = new Set<string>();
  const failures: string[] = [];
  const start = world.clock.now() - world.clock.monotonic();
  for (const { offsets, atMs } of world.store.witness) {
    for (const offset of offsets) {
      const source = sourceOf(offset);
      const record = bySource.get(source);
      if (record === undefined) {
        failures.push(`${source} was folded, but there is no such record`);
        continue;
      }
      if (folded.has(source)) failures.push(`${source} was folded twice`);
      // What failed changed nothing.
      const meeting = failed.has(source) ? 'nothing' : oracle.fold(record.event);
      const person = oracle.personOf(record.event.distinctId);
      if (person) states.add(stateOf(person.uuid, person.properties));
      folded.set(source, { record, atMs: atMs - start, meeting, person });
    }
  }
  return { oracle, folded, states, failures: [...failures, ...checkOrder(records, folded)] };
}

/** Whether it waits while its id has no person. */
export function isHoldable({ name, distinctId, properties, historical, ...event }: HistoryEvent): boolean {
  if (historical || name === '$groupidentify' || properties['$process_person_profile'] === false)
    return false;
  if (properties['$device_id'] === distinctId || /^posthog-/.test(String(properties['$lib']))) return false;
  return otherIdOf({ name, distinctId, properties, ...event }) === undefined;
}

/** Whether it gives its id, or the other one, a person at once. */
export function givesPerson(event: HistoryEvent): readonly string[] {
  if (event.fault !== 'none' || event.properties['$process_person_profile'] === false) return [];
  if (isHoldable(event)) return [];
  const other = otherIdOf(event);
  const isJoined = other !== undefined && !isIllegal(other) && !isIllegal(event.distinctId);
  return isJoined ? [event.distinctId, other] : [event.distinctId];
}

/** Of one id, a record that can be held may be overtaken by one that cannot: by nothing else. */
function checkOrder(
  records: readonly SentRecord[],
  folded: ReadonlyMap<string, FoldedRecord>,
): readonly string[] {
  const failures: string[] = [];
  const places = new Map([...folded.keys()].map((source, place) => [source, place]));
  records.forEach((earlier, index) => {
    const first = places.get(sourceOf(earlier));
    if (first === undefined) return;
    for (const later of records.slice(index + 1)) {
      const second = places.get(sourceOf(later));
      if (later.event.distinctId !== earlier.event.distinctId || second === undefined || second > first)
        continue;
      if (isHoldable(earlier.event) && !isHoldable(later.event)) continue;
      failures.push(`${sourceOf(later)} overtook ${sourceOf(earlier)} of the same id`);
    }
  });
  return failures;
}
