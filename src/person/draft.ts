/** Persons and ids while events are being folded. Nobody else sees it before it is finished. */
import type { DerivePersonUuid, DistinctId, PersonUuid, TeamId } from '../event/ids.ts';
import type { Known, MergedAway, NewId, Seen } from './known.ts';
import type { Person } from './person.ts';
import type { Work } from './work.ts';

/** A deleted person's row has a version this much higher: whatever was on its way before loses to it. */
const DELETED_VERSION_STEP = 100;

export class Draft implements Seen {
  /** Whom an id belongs to, after the merges so far. */
  readonly ids: Seen['ids'] = { get: (id) => this.#survivorOf(this.#givenIds.get(id)) };
  readonly #before: Known;
  /** Copied with the first change: most folds change nothing. */
  #persons: Map<PersonUuid, Person> | undefined;
  /** Merges do not move ids: they are followed when somebody asks. */
  #ids: Map<DistinctId, PersonUuid | undefined> | undefined;
  readonly #newIds = new Map<DistinctId, TeamId>();
  /** With the versions of their deletion, in the order of the merges. */
  readonly #merged: Person[] = [];
  /** Who took the place of each of them. */
  readonly #into = new Map<PersonUuid, PersonUuid>();

  constructor(before: Known) {
    this.#before = before;
  }

  get persons(): ReadonlyMap<PersonUuid, Person> {
    return this.#persons ?? this.#before.persons;
  }

  get #givenIds(): Known['ids'] {
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
    for (let into = this.#into.get(last); into; into = this.#into.get(last)) last = into;
    // Whoever asks next has one step to go, however long the chain has become.
    for (let one = uuid; one !== last; ) {
      const into = this.#into.get(one) ?? last;
      this.#into.set(one, last);
      one = into;
    }
    return last;
  }

  #survivorOf(uuid: PersonUuid | undefined): PersonUuid | undefined {
    return uuid === undefined ? undefined : this.survivor(uuid);
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
    this.#merged.push({ ...source, version: Math.max(source.version, 0) + DELETED_VERSION_STEP });
    this.#into.set(source.uuid, into);
  }

  #idsAfter(): Known['ids'] {
    if (this.#into.size === 0) return this.#givenIds;
    const ids = new Map<DistinctId, PersonUuid | undefined>();
    for (const [id, uuid] of this.#givenIds) ids.set(id, this.#survivorOf(uuid));
    return ids;
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
    const ids = this.#idsAfter();
    const newIds: NewId[] = [];
    for (const [distinctId, teamId] of this.#newIds) {
      const person = ids.get(distinctId);
      if (person === undefined) continue;
      const isMoved = person !== this.#givenIds.get(distinctId);
      const isDerived = !isMoved && derivePersonUuid(teamId, distinctId) === person;
      newIds.push({ distinctId, person, version: isDerived ? 0 : 1 });
    }
    return {
      known: { persons: this.persons, ids },
      written,
      newIds,
      merged: this.#merged.map((person) => ({ person, into: this.survivor(person.uuid) })),
    };
  }
}
