/**
 * Which person a distinct id belongs to, as far as this process knows. What unsaved work stands on is kept whatever
 * the bound says, and changes only by that work's own save or redo.
 */
import { asPersonUuid, type PersonUuid } from '../event/ids.ts';
import { TextCache } from '../off-heap/text-cache.ts';
import type { Identity } from '../storage/person-store.ts';
import type { IdNews } from './tail.ts';

export type Belief = { readonly kind: 'person'; readonly uuid: PersonUuid } | { readonly kind: 'nobody' };

const NOBODY: Belief = { kind: 'nobody' };
/** In the cache: nobody has the id. */
const NO_UUID = '';
/** Two UUIDs and the number of the project have their place in one. */
const BLOCK_BYTES = 80;

interface Pin {
  readonly belief: Belief;
  /** Unsaved events that stand on the id. */
  count: number;
  /** The newest mapping that the log told of meanwhile. */
  heard: IdNews | undefined;
  /** It may have been moved meanwhile. */
  isDoubted: boolean;
}

export class Identities {
  /** Ids that unsaved work stands on, or that it gives a person. */
  readonly #pins = new Map<string, Pin>();
  #known: TextCache;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#known = noneKnown(bytesMax);
  }

  /** `undefined`: Postgres has to be asked. */
  resolve(identity: Identity): Belief | undefined {
    const key = identityKey(identity);
    const pin = this.#pins.get(key);
    if (pin) return pin.belief;
    const known = this.#known.get(key);
    return known === undefined ? undefined : beliefIn(uuidOf(known));
  }

  /** Read from Postgres. What unsaved work stands on stays as it is. */
  learn(identity: Identity, person: PersonUuid | undefined): Belief {
    this.#known.set(identityKey(identity), person ?? NO_UUID);
    return beliefIn(person);
  }

  /** Whom unsaved work believes the id to belong to, if there is any. */
  pinned(identity: Identity): Belief | undefined {
    return this.#pins.get(identityKey(identity))?.belief;
  }

  /** One more unsaved event stands on the id, and on its belonging to this person. True for the first one. */
  pin(identity: Identity, person: PersonUuid): boolean {
    const key = identityKey(identity);
    const pin = this.#pins.get(key);
    if (pin) {
      pin.count += 1;
      return false;
    }
    this.#pins.set(key, { belief: beliefIn(person), count: 1, heard: undefined, isDoubted: false });
    return true;
  }

  /** One event that stood on the id is saved, and the id belongs to this person. True: no other one stands on it. */
  confirm(identity: Identity, person: PersonUuid | undefined): boolean {
    const key = identityKey(identity);
    const pin = this.#pins.get(key);
    const isLast = this.#unpin(key);
    if (pin?.isDoubted || (pin?.heard && pin.heard.person !== person)) this.#known.delete(key);
    else this.learn(identity, person);
    return isLast;
  }

  /** Any id may lead elsewhere by now: it is read again when it is needed. */
  distrust(): void {
    if (this.#known.size > 0) this.#known = noneKnown(this.#bytesMax);
    for (const pin of this.#pins.values()) pin.isDoubted = true;
  }

  /** The log tells of a mapping. One that is not the one that is known: it is read again when it is needed. */
  hear(news: IdNews): void {
    const key = identityKey(news);
    const pin = this.#pins.get(key);
    if (pin && (pin.heard === undefined || pin.heard.version < news.version)) pin.heard = news;
    const known = this.#known.peek(key);
    if (known !== undefined && uuidOf(known) !== news.person) this.#known.delete(key);
  }

  /** It is read again when it is needed; what unsaved work stands on stays. */
  overtaken(identity: Identity): void {
    this.#known.delete(identityKey(identity));
  }

  /** One event that stood on the id is redone. */
  forget(identity: Identity): void {
    const key = identityKey(identity);
    this.#unpin(key);
    this.#known.delete(key);
  }

  #unpin(key: string): boolean {
    const pin = this.#pins.get(key);
    if (pin === undefined) return false;
    pin.count -= 1;
    return pin.count === 0 && this.#pins.delete(key);
  }
}

const noneKnown = (bytesMax: number) => new TextCache({ bytesMax, blockBytes: BLOCK_BYTES });

const uuidOf = (known: string): PersonUuid | undefined =>
  known === NO_UUID ? undefined : asPersonUuid(known);

const beliefIn = (person: PersonUuid | undefined): Belief =>
  person === undefined ? NOBODY : { kind: 'person', uuid: person };

export const identityKey = ({ teamId, distinctId }: Identity): string => `${teamId}:${distinctId}`;

export const uuidIn = (belief: Belief | undefined): PersonUuid | undefined =>
  belief?.kind === 'person' ? belief.uuid : undefined;
