/** Persons and ids while events are being folded. Nobody else sees it before it is finished. */
import type { DerivePersonUuid, DistinctId, PersonUuid, TeamId } from '../event/ids.ts';
import type { Known, MergedAway, NewId } from './known.ts';
import type { Person } from './person.ts';
import type { Work } from './work.ts';

/** A deleted person's row has a version this much higher: whatever was on its way before loses to it. */
const DELETED_VERSION_STEP = 100;

export class Draft implements Known {
  readonly #before: Known;
  /** Copied with the first change: most folds change nothing. */
  #persons: Map<PersonUuid, Person> | undefined;
  #ids: Map<DistinctId, PersonUuid | undefined> | undefined;
  readonly #newIds = new Map<DistinctId, TeamId>();
  /** New ids whose first person of this fold was merged away. */
  readonly #moved = new Set<DistinctId>();
  readonly #merged = new Map<PersonUuid, MergedAway>();

  constructor(before: Known) {
    this.#before = before;
  }

  get persons(): ReadonlyMap<PersonUuid, Person> {
    return this.#persons ?? this.#before.persons;
  }

  get ids(): ReadonlyMap<DistinctId, PersonUuid | undefined> {
    return this.#ids ?? this.#before.ids;
  }

  #ownPersons(): Map<PersonUuid, Person> {
    this.#persons ??= new Map(this.#before.persons);
    return this.#persons;
  }

  #ownIds(): Map<DistinctId, PersonUuid | undefined> {
    this.#ids ??= new Map(this.#before.ids);
    return this.#ids;
  }

  personOf(distinctId: DistinctId): Person | undefined {
    const uuid = this.ids.get(distinctId);
    return uuid === undefined ? undefined : this.persons.get(uuid);
  }

  /** Who has taken this person's place, if somebody has. */
  survivor(uuid: PersonUuid): PersonUuid {
    let last = uuid;
    for (let gone = this.#merged.get(last); gone; gone = this.#merged.get(last)) last = gone.into;
    return last;
  }

  /** What the event's stages decided. */
  take({ event, person, attached, mergedAway }: Work): void {
    if (person === undefined) return;
    if (this.persons.get(person.uuid) !== person) this.#ownPersons().set(person.uuid, person);
    for (const id of attached) {
      this.#ownIds().set(id, person.uuid);
      this.#newIds.set(id, event.teamId);
    }
    if (mergedAway) this.#merge(mergedAway, person.uuid);
  }

  #merge(source: Person, into: PersonUuid): void {
    this.#ownPersons().delete(source.uuid);
    const version = Math.max(source.version, 0) + DELETED_VERSION_STEP;
    this.#merged.set(source.uuid, { person: { ...source, version }, into });
    for (const [id, uuid] of this.ids) {
      if (uuid !== source.uuid) continue;
      this.#ownIds().set(id, into);
      this.#moved.add(id);
    }
  }

  finish(derivePersonUuid: DerivePersonUuid): {
    readonly known: Known;
    readonly written: readonly Person[];
    readonly newIds: readonly NewId[];
    readonly merged: readonly MergedAway[];
  } {
    const written: Person[] = [];
    for (const [uuid, person] of this.#persons ?? []) {
      if (person === this.#before.persons.get(uuid)) continue;
      const saved = { ...person, version: person.version + 1 };
      this.#ownPersons().set(uuid, saved);
      written.push(saved);
    }
    const newIds: NewId[] = [];
    for (const [distinctId, teamId] of this.#newIds) {
      const person = this.ids.get(distinctId);
      if (person === undefined) continue;
      const isDerived = !this.#moved.has(distinctId) && derivePersonUuid(teamId, distinctId) === person;
      newIds.push({ distinctId, person, version: isDerived ? 0 : 1 });
    }
    return {
      known: { persons: this.persons, ids: this.ids },
      written,
      newIds,
      merged: [...this.#merged.values()].map((one) => ({ ...one, into: this.survivor(one.into) })),
    };
  }
}
