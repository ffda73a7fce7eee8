/** One save of the simulated store: checks every belief, then writes what was folded. All or nothing. */
import type { PersonUuid } from '../../src/event/ids.ts';
import type { Folded } from '../../src/person/fold.ts';
import { changeGroup, type Group, type GroupChange, groupKey } from '../../src/person/group.ts';
import type { Person } from '../../src/person/person.ts';
import type { FoldedRange, MovedId, PersonWork, Saved } from '../../src/storage/person-store.ts';
import { identityKey, type SimStore } from './sim-store.ts';

export interface SaveResult {
  /** One for each work, in order. */
  readonly saved: readonly Saved[];
  /** What was recorded with each work's offsets; broken ones are not in it. */
  readonly recorded: ReadonlyMap<PersonWork, Omit<FoldedRange, 'from' | 'to'>>;
}

interface Confirmed {
  readonly work: PersonWork;
  readonly folded: Folded;
}

interface WrittenGroups {
  /** Groups that the save changed and the work had a part in. */
  readonly touched: readonly Group[];
  /** Groups that no later work of the save changed. */
  readonly changed: readonly Group[];
  readonly oversized: readonly GroupChange[];
}

const NO_GROUPS: WrittenGroups = { touched: [], changed: [], oversized: [] };

export function saveWorks(store: SimStore, works: readonly PersonWork[], mergeIdsMax: number): SaveResult {
  const confirmed = works.map((work) => (holds(store, work) ? confirm(store, work, mergeIdsMax) : undefined));
  const written = confirmed.filter((one) => one !== undefined).filter(({ work }) => work.checked);
  refuseConflicts(store, written);
  const moved = new Map(written.map(({ work, folded }) => [work, writePersons(store, work, folded)]));
  const groups = writeGroups(store, written);

  const recorded: [PersonWork, Omit<FoldedRange, 'from' | 'to'>][] = [];
  const saved = confirmed.map((one): Saved => {
    if (one === undefined) return { kind: 'broken' };
    const { work, folded } = one;
    const { touched, changed, oversized } = groups.get(work) ?? NO_GROUPS;
    recorded.push([work, { persons: work.checked ? [...personsOf(work, folded)] : [], groups: touched }]);
    return { kind: 'saved', folded, moved: moved.get(work) ?? [], groups: changed, oversized };
  });
  return { saved, recorded: new Map(recorded) };
}

/** Whether every person is there and every id leads where it was believed to. */
function holds(store: SimStore, { teamId, believed, checked }: PersonWork): boolean {
  if (!checked) return true;
  for (const uuid of believed.persons.keys()) if (!store.persons.has(uuid)) return false;
  for (const [distinctId, uuid] of believed.ids) {
    if (store.ids.get(identityKey({ teamId, distinctId }))?.person !== uuid) return false;
  }
  return true;
}

/** Folds again where persons are others than believed, and without merges that would move too many ids. */
function confirm(store: SimStore, work: PersonWork, mergeIdsMax: number): Confirmed {
  if (!work.checked) return { work, folded: work.folded };
  const persons = new Map<PersonUuid, Person>();
  for (const uuid of personsOf(work, work.folded)) {
    const person = store.persons.get(uuid);
    if (person) persons.set(uuid, person);
  }
  const isAsBelieved = [...persons].every(
    ([uuid, { version }]) => version === work.believed.persons.get(uuid)?.version,
  );
  const folded = isAsBelieved ? work.folded : work.refold(persons, new Set());
  const overfull = [...persons.values()].filter((person) => store.idsOf(person).length > mergeIdsMax);
  const uuids = new Set(overfull.map(({ uuid }) => uuid));
  const isRefused = folded.merged.some(({ person }) => uuids.has(person.uuid));
  return { work, folded: isRefused ? work.refold(persons, uuids) : folded };
}

/** Everybody whom the fold stood on, or should have, wrote or merged away. */
const personsOf = (work: PersonWork, folded: Folded): ReadonlySet<PersonUuid> =>
  new Set([
    ...work.believed.persons.keys(),
    ...[...work.believed.ids.values()].filter((uuid) => uuid !== undefined),
    ...folded.written.map(({ uuid }) => uuid),
    ...folded.merged.map(({ person }) => person.uuid),
  ]);

/** What Postgres' constraints refuse: then nothing of the save stays. */
function refuseConflicts(store: SimStore, confirmed: readonly Confirmed[]): void {
  const taken = new Set<string>();
  for (const { work, folded } of confirmed) {
    for (const { distinctId } of folded.newIds) {
      const key = identityKey({ teamId: work.teamId, distinctId });
      if (store.ids.has(key) || taken.has(key)) throw new Error(`distinct id ${key} was taken meanwhile`);
      taken.add(key);
    }
  }
}

function writePersons(store: SimStore, { teamId }: PersonWork, folded: Folded): MovedId[] {
  const moved: MovedId[] = [];
  for (const person of folded.written) store.persons.set(person.uuid, person);
  for (const { person: source, into } of folded.merged) {
    for (const { distinctId, version } of store.idsOf(source)) {
      const next = { person: into, version: version + 1 };
      store.ids.set(identityKey({ teamId, distinctId }), next);
      moved.push({ distinctId, ...next });
    }
    store.persons.delete(source.uuid);
    const { uuid, createdAtMs, version } = source;
    store.deleted.set(uuid, { uuid, teamId, createdAtMs, version });
    store.merged.set(uuid, into);
  }
  for (const { distinctId, person, version } of folded.newIds) {
    store.ids.set(identityKey({ teamId, distinctId }), { person, version });
  }
  return moved;
}

/** The changes of all works, in order, after the persons. */
function writeGroups(
  store: SimStore,
  confirmed: readonly Confirmed[],
): ReadonlyMap<PersonWork, WrittenGroups> {
  const changedBy = new Map<string, PersonWork>();
  const oversized = new Map<PersonWork, GroupChange[]>();
  const changes = confirmed
    .flatMap(({ work, folded }) => folded.groupChanges.map((change) => ({ work, change })))
    .toSorted((a, b) => a.change.order - b.change.order);
  for (const { work, change } of changes) {
    const key = groupKey(change);
    const outcome = changeGroup(store.groups.get(key), change);
    if (outcome.kind === 'too_large') oversized.set(work, [...(oversized.get(work) ?? []), change]);
    if (outcome.kind !== 'changed') continue;
    store.groups.set(key, outcome.group);
    changedBy.set(key, work);
  }
  return new Map(
    confirmed.map(({ work, folded }) => {
      const keys = [...new Set(folded.groupChanges.map(groupKey))].filter((key) => changedBy.has(key));
      const groupsAt = (own: readonly string[]) => own.flatMap((key) => store.groups.get(key) ?? []);
      const written = {
        touched: groupsAt(keys),
        changed: groupsAt(keys.filter((key) => changedBy.get(key) === work)),
        oversized: oversized.get(work) ?? [],
      };
      return [work, written];
    }),
  );
}
