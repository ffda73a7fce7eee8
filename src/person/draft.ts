/** Persons and ids while events are being folded. Nobody else sees it before it is finished. */
import type { DerivePersonUuid, DistinctId, PersonUuid, TeamId } from '../event/ids.ts';
import type { Known, MergedAway, NewId } from './known.ts';
import type { Person } from './person.ts';
import type { Work } from './work.ts';

/** A deleted person's row has a version this much higher: whatever was on its way before loses to it. */
const DELETED_VERSION_STEP = 100;

export class Draft implements Known {
  readonly #before: Known;
  readonly persons: Map<PersonUuid, Person>;
  readonly ids: Map<DistinctId, PersonUuid | undefined>;
  readonly #newIds = new Map<DistinctId, TeamId>();
  /** New ids whose first person of this fold was merged away. */
  readonly #moved = new Set<DistinctId>();
  readonly #merged = new Map<PersonUuid, MergedAway>();

  constructor(before: Known) {
    this.#before = before;
    this.persons = new Map(before.persons);
    this.ids = new Map(before.ids);
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
    this.persons.set(person.uuid, person);
    for (const id of attached) {
      this.ids.set(id, person.uuid);
      this.#newIds.set(id, event.teamId);
    }
    if (mergedAway) this.#merge(mergedAway, person.uuid);
  }

  #merge(source: Person, into: PersonUuid): void {
    this.persons.delete(source.uuid);
    const version = Math.max(source.version, 0) + DELETED_VERSION_STEP;
    this.#merged.set(source.uuid, { person: { ...source, version }, into });
    for (const [id, uuid] of this.ids) {
      if (uuid !== source.uuid) continue;
      this.ids.set(id, into);
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
    for (const [uuid, person] of this.persons) {
      if (person === this.#before.persons.get(uuid)) continue;
      const saved = { ...person, version: person.version + 1 };
      this.persons.set(uuid, saved);
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
