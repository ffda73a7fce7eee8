/** One save of the simulated store: checks every belief, then writes what was folded. All or nothing. */
import type { PersonUuid } from '../../src/event/ids.ts';
import type { Folded } from '../../src/person/fold.ts';
import { changeGroup, type Group, type GroupChange, type GroupId, groupKey } from '../../src/person/group.ts';
import type { Person } from '../../src/person/person.ts';
import type { MovedId, PersonWork, Saved } from '../../src/storage/person-store.ts';
import { identityKey, type SimStore } from './sim-store.ts';

export interface SaveResult {
  /** One for each work, in order. */
  readonly saved: readonly Saved[];
  /** Persons and groups that the save wrote. */
  readonly persons: readonly PersonUuid[];
  readonly groups: readonly GroupId[];
}

interface Confirmed {
  readonly work: PersonWork;
  readonly folded: Folded;
}

export function saveWorks(store: SimStore, works: readonly PersonWork[], mergeIdsMax: number): SaveResult {
  const held = works.map((work) => (holds(store, work) ? confirm(store, work, mergeIdsMax) : undefined));
  const written = held.filter((one) => one?.work.checked).filter((one) => one !== undefined);
  refuseConflicts(store, written);

  const moved = new Map(written.map(({ work, folded }) => [work, writePersons(store, work, folded)]));
  const grouped = new Map(written.map(({ work, folded }) => [work, writeGroups(store, folded.groupChanges)]));

  const saved = held.map((one): Saved => {
    if (one === undefined) return { kind: 'broken' };
    const { changed = [], oversized = [] } = grouped.get(one.work) ?? {};
    const groups = changed.flatMap((key) => store.groups.get(key) ?? []);
    return { kind: 'saved', folded: one.folded, moved: moved.get(one.work) ?? [], groups, oversized };
  });
  const persons = written.flatMap(({ folded }) => [
    ...folded.written.map(({ uuid }) => uuid),
    ...folded.merged.map(({ person }) => person.uuid),
    ...folded.newIds.map(({ person }) => person),
  ]);
  return { saved, persons: [...new Set(persons)], groups: saved.flatMap(groupsOf) };
}

const groupsOf = (saved: Saved): readonly Group[] => (saved.kind === 'saved' ? saved.groups : []);

/** Whether every person is there and every id leads where it was believed to. */
function holds(store: SimStore, { teamId, believed, checked }: PersonWork): boolean {
  if (!checked) return true;
  for (const uuid of believed.persons.keys()) if (!store.persons.has(uuid)) return false;
  for (const [distinctId, uuid] of believed.ids) {
    if (store.ids.get(identityKey({ teamId, distinctId }))?.person !== uuid) return false;
  }
  return true;
}

/** Folds again where a version has moved since, or a merge would move too much. */
function confirm(store: SimStore, work: PersonWork, mergeIdsMax: number): Confirmed {
  const persons = new Map<PersonUuid, Person>();
  const overfull = new Set<PersonUuid>();
  let moved = false;
  for (const [uuid, believed] of work.believed.persons) {
    const person = store.persons.get(uuid);
    if (person === undefined) continue;
    persons.set(uuid, person);
    moved ||= person.version !== believed.version;
    if (store.idsOf(person).length > mergeIdsMax) overfull.add(uuid);
  }
  const again = work.checked && (moved || overfull.size > 0);
  return { work, folded: again ? work.refold(persons, overfull) : work.folded };
}

/** What Postgres' constraints refuse: then nothing of the save stays. */
function refuseConflicts(store: SimStore, confirmed: readonly Confirmed[]): void {
  const taken = new Set<string>();
  const take = (name: string, isThere: boolean) => {
    if (isThere || taken.has(name)) throw new Error(`${name} was taken while the save was under way`);
    taken.add(name);
  };
  for (const { work, folded } of confirmed) {
    for (const { distinctId } of folded.newIds) {
      const key = identityKey({ teamId: work.teamId, distinctId });
      take(`distinct id ${key}`, store.ids.has(key));
    }
    for (const { uuid } of folded.written) {
      if (!work.believed.persons.has(uuid)) take(`person ${uuid}`, store.persons.has(uuid));
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
  }
  for (const { distinctId, person, version } of folded.newIds) {
    store.ids.set(identityKey({ teamId, distinctId }), { person, version });
  }
  return moved;
}

function writeGroups(
  store: SimStore,
  changes: readonly GroupChange[],
): { changed: readonly string[]; oversized: readonly GroupChange[] } {
  const changed = new Set<string>();
  const oversized: GroupChange[] = [];
  for (const change of changes) {
    const key = groupKey(change);
    const outcome = changeGroup(store.groups.get(key), change);
    if (outcome.kind === 'too_large') oversized.push(change);
    if (outcome.kind !== 'changed') continue;
    store.groups.set(key, outcome.group);
    changed.add(key);
  }
  return { changed: [...changed], oversized };
}
