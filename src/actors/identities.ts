/**
 * Which person a distinct id belongs to, as far as this process knows. What unsaved work stands on is kept whatever
 * the bound says, and changes only by that work's own save or redo.
 */
import { LRUCache } from 'lru-cache';
import type { PersonUuid } from '../event/ids.ts';
import type { Identity } from '../storage/person-store.ts';

export type Belief = { readonly kind: 'person'; readonly uuid: PersonUuid } | { readonly kind: 'nobody' };

const NOBODY: Belief = { kind: 'nobody' };
/** Map entry, list entry, strings' headers: measured on Node 20. */
const ENTRY_OVERHEAD_BYTES = 250;

export class Identities {
  /** Decided here and not saved yet. */
  readonly #decided = new Map<string, Belief>();
  readonly #known: LRUCache<string, Belief>;

  constructor(bytesMax: number) {
    this.#known = new LRUCache({
      maxSize: bytesMax,
      sizeCalculation: (_belief, key) => key.length + ENTRY_OVERHEAD_BYTES,
    });
  }

  /** `undefined`: Postgres has to be asked. */
  resolve(identity: Identity): Belief | undefined {
    const key = identityKey(identity);
    return this.#decided.get(key) ?? this.#known.get(key);
  }

  /** Read from Postgres. What is decided and unsaved stays as it is. */
  learn(identity: Identity, person: PersonUuid | undefined): Belief {
    const belief: Belief = person === undefined ? NOBODY : { kind: 'person', uuid: person };
    this.#known.set(identityKey(identity), belief);
    return belief;
  }

  /** The id will belong to this person, once a save says so. */
  decide(identity: Identity, person: PersonUuid): void {
    this.#decided.set(identityKey(identity), { kind: 'person', uuid: person });
  }

  confirm(identity: Identity): void {
    const key = identityKey(identity);
    const decided = this.#decided.get(key);
    if (decided === undefined) return;
    this.#decided.delete(key);
    this.#known.set(key, decided);
  }

  forget(identity: Identity): void {
    const key = identityKey(identity);
    this.#decided.delete(key);
    this.#known.delete(key);
  }
}

export const identityKey = ({ teamId, distinctId }: Identity): string => `${teamId}:${distinctId}`;
