/**
 * What the dispatcher has to know of the next events: whose their ids are, those persons, and their groups. Asks Postgres
 * for a whole round at once. An answer that a save, a redo or the log's news have overtaken is not believed: it is asked
 * for again.
 */
import type { PersonUuid } from '../event/ids.ts';
import { groupKey } from '../person/group.ts';
import type { Found, Identity, PersonStore } from '../storage/person-store.ts';
import { type Entry, identityOf, otherIdOf, wants } from './entry.ts';
import type { Flushed } from './flusher.ts';
import type { Groups } from './groups.ts';
import { type Belief, type Identities, identityKey, uuidIn } from './identities.ts';
import type { Persons } from './persons.ts';
import type { News } from './tail.ts';

export interface LookupOptions {
  readonly identities: Identities;
  readonly persons: Persons;
  readonly groups: Groups;
  readonly store: Pick<PersonStore, 'findByIds' | 'groupTypes' | 'findGroups'>;
}

/** What has changed while an answer was on its way. */
interface Overtaking {
  /** Whom these ids belong to by now; unclear where several were named: the newest may have been told first. */
  readonly ids: Map<string, PersonUuid | undefined | 'unclear'>;
  /** The least version to believe; none where the person was merged away. */
  readonly persons: Map<PersonUuid, number>;
  readonly groups: Map<string, number>;
}

export class Lookup {
  readonly #options: LookupOptions;
  /** Read for the next round: the cache may be too small to keep it until then. */
  readonly #learned = new Map<string, Belief>();
  /** While an answer is on its way. */
  #overtaking: Overtaking | undefined;

  constructor(options: LookupOptions) {
    this.#options = options;
  }

  resolve(identity: Identity): Belief | undefined {
    return this.#options.identities.resolve(identity) ?? this.#learned.get(identityKey(identity));
  }

  /** Asks for what is not in memory. `undefined`: everything is. */
  read(entries: readonly Entry[]): Promise<unknown> | undefined {
    const { store, groups } = this.#options;
    const ids = this.#unknown(entries);
    const missing = groups.missing(
      entries.map((entry) => ({ event: entry.event, wantsProfile: wants(entry) })),
    );
    if (ids.length === 0 && missing === undefined) return undefined;
    const overtaking: Overtaking = { ids: new Map(), persons: new Map(), groups: new Map() };
    this.#overtaking = overtaking;
    const isCurrent = () => this.#overtaking === overtaking;
    return Promise.all([
      ids.length > 0
        ? store.findByIds(ids).then((found) => isCurrent() && this.#learn(ids, found, overtaking))
        : undefined,
      missing && missing.types.length > 0
        ? store.groupTypes(missing.types).then((types) => groups.learnTypes(types))
        : undefined,
      missing && missing.groups.length > 0
        ? store
            .findGroups(missing.groups)
            .then((found) => isCurrent() && groups.learnGroups(missing.groups, found, overtaking.groups))
        : undefined,
    ]).finally(() => {
      if (isCurrent()) this.#overtaking = undefined;
    });
  }

  /** What was read has served. */
  forget(): void {
    this.#learned.clear();
    this.#options.groups.forgetLearned();
  }

  /** What was read, or is being read, may be from before the redo. */
  invalidate(): void {
    this.forget();
    this.#overtaking = undefined;
  }

  /** What these saves changed is newer than what was read, and than an answer that is on its way. */
  saved(flushed: readonly Flushed[]): void {
    for (const { handle, saved } of flushed) {
      const { teamId } = handle;
      const { known, written, merged } = saved.folded;
      for (const [distinctId, uuid] of known.ids) this.#nowOf(identityKey({ teamId, distinctId }), uuid);
      for (const { distinctId, person } of saved.moved)
        this.#nowOf(identityKey({ teamId, distinctId }), person);
      if (this.#overtaking === undefined) continue;
      const { persons, groups } = this.#overtaking;
      for (const { uuid, version } of written) raise(persons, uuid, version);
      for (const { person } of merged) raise(persons, person.uuid, Number.POSITIVE_INFINITY);
      for (const group of saved.groups) raise(groups, groupKey(group), group.version);
    }
  }

  /** What the log tells of may be newer than what was read, or is being read. */
  hear(news: News): void {
    for (const one of news.ids) this.#nowOf(identityKey(one), one.person);
    if (this.#overtaking === undefined) return;
    const { persons, groups } = this.#overtaking;
    for (const { uuid, version } of news.persons) raise(persons, uuid, version);
    for (const { key, version } of news.groups) raise(groups, key, version);
  }

  #nowOf(key: string, person: PersonUuid | undefined): void {
    const learned = this.#learned.get(key);
    if (learned && uuidIn(learned) !== person) this.#learned.delete(key);
    const ids = this.#overtaking?.ids;
    ids?.set(key, ids.has(key) && ids.get(key) !== person ? 'unclear' : person);
  }

  /** Ids whose person, or whose person's state, is not in memory. */
  #unknown(entries: readonly Entry[]): Identity[] {
    const { persons } = this.#options;
    const unknown = new Map<string, Identity>();
    for (const entry of entries) {
      for (const identity of [identityOf(entry), otherIdOf(entry)]) {
        if (identity === undefined) continue;
        const belief = this.resolve(identity);
        if (belief === undefined || (belief.kind === 'person' && !persons.has(belief.uuid)))
          unknown.set(identityKey(identity), identity);
      }
    }
    return [...unknown.values()];
  }

  #learn(asked: readonly Identity[], found: readonly Found[], overtaking: Overtaking): void {
    const { ids: overtaken, persons: versions } = overtaking;
    const { identities, persons } = this.#options;
    const byId = new Map(found.map((one) => [identityKey(one), one.person]));
    for (const identity of asked) {
      const key = identityKey(identity);
      const person = byId.get(key);
      if (overtaken.has(key) && overtaken.get(key) !== person?.uuid) continue;
      if (person && person.version < (versions.get(person.uuid) ?? 0)) continue;
      this.#learned.set(key, identities.learn(identity, person?.uuid));
      if (person) persons.activate(identity.teamId, person.uuid, person);
    }
  }
}

function raise<Key>(versions: Map<Key, number>, key: Key, version: number): void {
  versions.set(key, Math.max(version, versions.get(key) ?? version));
}
