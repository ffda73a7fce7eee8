/** Counts what happens between owners: beliefs that another one has made wrong, and how they are repaired. */
import { asDistinctId, type PersonUuid } from '../../src/event/ids.ts';
import { FencedError, type PersonWork, type Saved } from '../../src/storage/person-store.ts';
import { sourceOf } from './follow.ts';
import { otherIdOf } from './oracle.ts';
import type { Process } from './process.ts';
import { identityKey, type SimStore } from './sim-store.ts';
import type { Watch } from './watch.ts';
import { TEAM, type World } from './world.ts';

export type RivalMoment =
  | 'save by a fenced owner'
  | 'assumption broken by version'
  | 'assumption broken by merge'
  | 'assumption broken by creation'
  | 'assumption broken by identification'
  | 'opposite merges'
  | 'merge across owners with unsaved work on both sides'
  | 'redo that is itself interrupted';

export class Rivals {
  readonly #world: World;
  readonly #watch: Watch;
  /** Of each process: sources whose beliefs were broken, and that are not folded since. */
  readonly #redone = new Map<Process, Set<string>>();
  /** By source: how often its beliefs were broken. */
  readonly #broken = new Map<string, number>();

  constructor(world: World, watch: Watch) {
    this.#world = world;
    this.#watch = watch;
  }

  onSave(process: Process, works: readonly PersonWork[], save: () => readonly Saved[]): readonly Saved[] {
    const { store } = this.#world;
    const moments = works.flatMap((work) => brokenBeliefs(store, work));
    const acrossBy = works.map((work) => this.#isAcross(process, work));
    let saved: readonly Saved[];
    try {
      saved = save();
    } catch (error) {
      if (error instanceof FencedError) {
        this.#watch.met('save by a fenced owner');
        this.interrupted(process);
      }
      throw error;
    }
    for (const moment of moments) this.#watch.met(moment);
    this.#settle(process, works, saved);
    works.forEach((_work, index) => {
      const one = saved[index];
      if (one?.kind === 'saved' && one.folded.merged.length > 0 && acrossBy[index])
        this.#watch.met('merge across owners with unsaved work on both sides');
    });
    return saved;
  }

  /** Records that were redone more often than `times`. */
  redoneOften(times: number): readonly string[] {
    return [...this.#broken].filter(([, count]) => count > times).map(([source]) => source);
  }

  /** The process has lost what it was about to do again. */
  interrupted(process: Process): void {
    if (this.#redone.delete(process)) this.#watch.met('redo that is itself interrupted');
  }

  #settle(process: Process, works: readonly PersonWork[], saved: readonly Saved[]): void {
    const redone = this.#redone.get(process) ?? new Set();
    let isInterrupted = false;
    works.forEach(({ records }, index) => {
      for (const record of records) {
        const source = sourceOf(record);
        if (saved[index]?.kind === 'saved') redone.delete(source);
        else {
          if (redone.has(source)) isInterrupted = true;
          redone.add(source);
          this.#broken.set(source, (this.#broken.get(source) ?? 0) + 1);
        }
      }
    });
    if (isInterrupted) this.#watch.met('redo that is itself interrupted');
    if (redone.size > 0) this.#redone.set(process, redone);
    else this.#redone.delete(process);
  }

  /** Whether it merges persons of whom this process has other unsaved work, and so has another one. */
  #isAcross(process: Process, { teamId, folded, records }: PersonWork): boolean {
    if (folded.merged.length === 0 || records.length < 2) return false;
    const persons = new Set(folded.merged.flatMap(({ person, into }) => [person.uuid, into]));
    const isConcerned = (id: string | undefined) => {
      const person =
        id === undefined
          ? undefined
          : this.#world.store.ids.get(identityKey({ teamId, distinctId: asDistinctId(id) }));
      return person !== undefined && persons.has(person.person);
    };
    return [...this.#watch.processes].some(
      (other) =>
        other !== process &&
        other.isAlive &&
        this.#watch
          .unsaved(other)
          .some((event) => isConcerned(event.distinctId) || isConcerned(otherIdOf(event))),
    );
  }
}

/** What of the work's beliefs somebody else has changed. */
function brokenBeliefs(store: SimStore, { believed, checked, folded }: PersonWork): readonly RivalMoment[] {
  if (!checked) return [];
  const moments = new Set<RivalMoment>();
  for (const [distinctId, uuid] of believed.ids) {
    const is = store.ids.get(identityKey({ teamId: TEAM, distinctId }))?.person;
    if (is !== uuid) moments.add(uuid === undefined ? 'assumption broken by creation' : BY_MERGE);
  }
  for (const uuid of believed.persons.keys()) if (!store.persons.has(uuid)) moments.add(BY_MERGE);
  for (const { person, into } of folded.merged) {
    const is = store.persons.get(person.uuid);
    if (is?.isIdentified && believed.persons.get(person.uuid)?.isIdentified === false)
      moments.add('assumption broken by identification');
    if (survivorOf(store, into) === survivorOf(store, person.uuid) && store.merged.has(into))
      moments.add('opposite merges');
  }
  if (!moments.has(BY_MERGE)) {
    for (const [uuid, { version }] of believed.persons) {
      if (store.persons.get(uuid)?.version !== version) moments.add('assumption broken by version');
    }
  }
  return [...moments];
}

const BY_MERGE = 'assumption broken by merge';

function survivorOf(store: SimStore, uuid: PersonUuid): PersonUuid {
  let last = uuid;
  for (let next = store.merged.get(last); next !== undefined; next = store.merged.get(last)) last = next;
  return last;
}
