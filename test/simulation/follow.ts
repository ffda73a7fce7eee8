/** Folds the records one after another, in the order that the witness gives. */
import type { HistoryEvent } from './history.ts';
import { dropReason, isIllegal, type Meeting, Oracle, type OraclePerson, otherIdOf } from './oracle.ts';
import { canonical } from './outputs.ts';
import { IDS_MAX } from './plan.ts';
import type { Ran, SentRecord } from './run.ts';
import { TEAM, uuidFor, type World } from './world.ts';

export interface FoldedRecord {
  readonly record: SentRecord;
  /** When its save was committed, from the beginning. */
  readonly atMs: number;
  readonly meeting: Meeting;
  /** Whose it was then, and as the record left it. */
  readonly person: OraclePerson | undefined;
}

/** From one fold to another, counted in the order of the witness. */
export interface Period {
  readonly from: number;
  /** Of the fold that ended it. */
  until: number;
  untilMs: number;
}

export interface Followed {
  readonly oracle: Oracle;
  /** By source, in the order of the witness. */
  readonly folded: ReadonlyMap<string, FoldedRecord>;
  /** When a person was in a state, by `stateOf`. */
  readonly states: ReadonlyMap<string, readonly Period[]>;
  readonly failures: readonly string[];
}

export const sourceOf = ({ partition, offset }: { partition: number; offset: number }): string =>
  `${partition}:${offset}`;
export const stateOf = (uuid: string, properties: unknown): string => `${uuid} ${canonical(properties)}`;

export function followWitness(ran: Ran): Followed {
  const { world, records, plan } = ran;
  const oracle = new Oracle(uuidFor);
  const bySource = new Map(records.map((record) => [sourceOf(record), record]));
  const folded = new Map<string, FoldedRecord>();
  const periods = new Periods();
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
      // Where a commit was lost its person may be, too, and what changes nothing does not find out.
      const isBlind = plan.canLose && !offset.checked;
      const other = oracle.personOf(otherIdOf(record.event) ?? '');
      const meeting = isBlind ? 'nothing' : oracle.fold(record.event);
      const person = oracle.personOf(record.event.distinctId);
      folded.set(source, { record, atMs: atMs - start, meeting, person });
      if (other && !oracle.persons.has(other.uuid)) periods.end(other.uuid, folded.size, atMs - start);
      if (person) periods.begin(person, folded.size, atMs - start);
    }
  }
  return {
    oracle,
    folded,
    states: periods.byState,
    failures: [...failures, ...(plan.canLose ? [] : checkOrder(ran, folded))],
  };
}

class Periods {
  readonly byState = new Map<string, Period[]>();
  readonly #current = new Map<string, { readonly state: string; readonly period: Period }>();

  /** The person is like this from now on. */
  begin({ uuid, properties }: OraclePerson, place: number, atMs: number): void {
    const state = stateOf(uuid, properties);
    if (this.#current.get(uuid)?.state === state) return;
    this.end(uuid, place, atMs);
    const period = { from: place, until: Number.POSITIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY };
    this.#current.set(uuid, { state, period });
    const periods = this.byState.get(state);
    if (periods) periods.push(period);
    else this.byState.set(state, [period]);
  }

  /** The person is another one, or gone. */
  end(uuid: string, place: number, atMs: number): void {
    const current = this.#current.get(uuid);
    if (current === undefined) return;
    current.period.until = place;
    current.period.untilMs = atMs;
    this.#current.delete(uuid);
  }
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

/**
 * Of one id, a record that can be held may be overtaken by one that cannot: by nothing else. A record without a profile
 * has no place among the others, but for the group that it changes.
 */
function checkOrder(
  { records, world, plan }: Ran,
  folded: ReadonlyMap<string, FoldedRecord>,
): readonly string[] {
  const failures: string[] = [];
  const places = new Map([...folded.keys()].map((source, place) => [source, place]));
  const seen = new Set<string>();
  records.forEach((earlier, index) => {
    const first = places.get(sourceOf(earlier));
    // A duplicate is folded after all where the process that saw the first one is gone: any time later.
    const isAgain = seen.has(earlier.event.uuid);
    seen.add(earlier.event.uuid);
    if (first === undefined || isAgain) return;
    // A merge that was too large may be small enough when it is replayed: any time later, too.
    if (plan.mergeIdsMax < IDS_MAX && otherIdOf(earlier.event) !== undefined) return;
    // What changes nothing leaves no trace in the store, and may be folded again.
    const { meeting } = folded.get(sourceOf(earlier)) ?? {};
    const isIdle = meeting === 'nothing' || meeting === 'without_profile';
    if (isIdle && !mayChange(earlier.event, world)) return;
    for (const later of records.slice(index + 1)) {
      const second = places.get(sourceOf(later));
      if (later.event.distinctId !== earlier.event.distinctId || second === undefined || second > first)
        continue;
      if (isHoldable(earlier.event) && !isHoldable(later.event)) continue;
      if (!isSameMatter(earlier.event, later.event)) continue;
      failures.push(`${sourceOf(later)} overtook ${sourceOf(earlier)} of the same id`);
    }
  });
  return failures;
}

function isSameMatter(a: HistoryEvent, b: HistoryEvent): boolean {
  const wantsProfile = ({ properties }: HistoryEvent) => properties['$process_person_profile'] !== false;
  const groupOf = ({ name, properties: { $group_type, $group_key } }: HistoryEvent) =>
    name === '$groupidentify' ? `${$group_type}:${$group_key}` : undefined;
  return (wantsProfile(a) && wantsProfile(b)) || (groupOf(a) !== undefined && groupOf(a) === groupOf(b));
}

/** Whether a fold of the event has to be remembered: it may change a person or a group that is there. */
export function mayChange(event: HistoryEvent, { store }: World): boolean {
  const { name, properties } = event;
  if (event.fault !== 'none' || dropReason(event) !== undefined) return false;
  const types: readonly unknown[] = store.typesOf(TEAM).map(({ type }) => type);
  if (name === '$groupidentify' && types.includes(properties['$group_type'])) return true;
  if (properties['$process_person_profile'] === false) return false;
  const changes = ['$set', '$set_once', '$unset'].map((key) => Object.keys(properties[key] ?? {}).length);
  return otherIdOf(event) !== undefined || changes.some((count) => count > 0);
}
