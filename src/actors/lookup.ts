/**
 * What the dispatcher has to know of the next events: whose their ids are, those persons, and their groups. Asks Postgres
 * for a whole round at once. An answer that a save or a redo has overtaken is not believed: it is asked for again.
 */
import type { PersonUuid } from '../event/ids.ts';
import type { Found, Identity, PersonStore } from '../storage/person-store.ts';
import { type Entry, identityOf, otherIdOf, wants } from './entry.ts';
import type { Flushed } from './flusher.ts';
import type { Groups } from './groups.ts';
import { type Belief, type Identities, identityKey } from './identities.ts';
import type { Persons } from './persons.ts';

export interface LookupOptions {
  readonly identities: Identities;
  readonly persons: Persons;
  readonly groups: Groups;
  readonly store: Pick<PersonStore, 'findByIds' | 'groupTypes' | 'findGroups'>;
}

/** What saves have changed while an answer was on its way. */
interface News {
  readonly ids: Set<string>;
  /** The least version to believe; none where the person was merged away. */
  readonly versions: Map<PersonUuid, number>;
}

export class Lookup {
  readonly #options: LookupOptions;
  /** Read for the next round: the cache may be too small to keep it until then. */
  readonly #learned = new Map<string, Belief>();
  /** While an answer is on its way. */
  #news: News | undefined;

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
    const news: News = { ids: new Set(), versions: new Map() };
    this.#news = news;
    return Promise.all([
      ids.length > 0 ? store.findByIds(ids).then((found) => this.#learn(ids, found, news)) : undefined,
      missing && missing.types.length > 0
        ? store.groupTypes(missing.types).then((types) => groups.learnTypes(types))
        : undefined,
      missing && missing.groups.length > 0
        ? store.findGroups(missing.groups).then((found) => groups.learnGroups(missing.groups, found))
        : undefined,
    ]);
  }

  /** What was read has served. */
  forget(): void {
    this.#learned.clear();
    this.#options.groups.forgetLearned();
  }

  /** What was read, or is being read, may be from before the redo. */
  invalidate(): void {
    this.forget();
    this.#news = undefined;
  }

  /** What these saves changed is newer than an answer that is on its way. */
  saved(flushed: readonly Flushed[]): void {
    if (this.#news === undefined) return;
    const { ids, versions } = this.#news;
    for (const { handle, saved } of flushed) {
      const { teamId } = handle;
      const { known, written, merged } = saved.folded;
      for (const distinctId of known.ids.keys()) ids.add(identityKey({ teamId, distinctId }));
      for (const { distinctId } of saved.moved) ids.add(identityKey({ teamId, distinctId }));
      for (const { uuid, version } of written) versions.set(uuid, version);
      for (const { person } of merged) versions.set(person.uuid, Number.POSITIVE_INFINITY);
    }
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

  #learn(asked: readonly Identity[], found: readonly Found[], news: News): void {
    if (news !== this.#news) return;
    this.#news = undefined;
    const { identities, persons } = this.#options;
    const byId = new Map(found.map((one) => [identityKey(one), one.person]));
    for (const identity of asked) {
      const key = identityKey(identity);
      const person = byId.get(key);
      if (news.ids.has(key)) continue;
      if (person && person.version < (news.versions.get(person.uuid) ?? 0)) continue;
      this.#learned.set(key, identities.learn(identity, person?.uuid));
      if (person) persons.activate(identity.teamId, person.uuid, person);
    }
  }
}
