/**
 * Decides whose an event is, and collects what each person's mailbox gets from a round: one slice for each. Where an event
 * may join two persons, the source's actor yields to the target's.
 */
import type { DerivePersonUuid, PersonUuid } from '../event/ids.ts';
import { wantsProfile } from '../person/stages/profile.ts';
import type { Identity } from '../storage/person-store.ts';
import { type Entry, identityOf, otherIdOf, type Routed, wants } from './entry.ts';
import type { Groups } from './groups.ts';
import { type Identities, uuidIn } from './identities.ts';
import type { Lookup } from './lookup.ts';
import type { IdBelief } from './person-actor.ts';
import type { PersonHandle, Persons } from './persons.ts';

export interface RouterOptions {
  readonly identities: Identities;
  readonly persons: Persons;
  readonly groups: Groups;
  readonly lookup: Lookup;
  readonly derivePersonUuid: DerivePersonUuid;
  readonly onDelivered: (handle: PersonHandle, entries: readonly Entry[]) => void;
  /** The second one's actor takes over what the first one's has. */
  readonly onJoined: (source: PersonHandle, target: PersonHandle) => void;
}

interface Slice {
  readonly routed: Routed[];
  readonly beliefs: IdBelief[];
}

const NOBODY: readonly Identity[] = [];

export class Router {
  readonly #options: RouterOptions;
  readonly #slices = new Map<PersonHandle, Slice>();
  #order = 0;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Puts the event into its person's slice. Gives the ids that it gives a person, or that have one. */
  route(entry: Entry): readonly Identity[] {
    const { derivePersonUuid, persons, groups, lookup } = this.#options;
    const { event, project, repeat } = entry;
    const isWanted = wants(entry);
    const own = identityOf(entry);
    const other = otherIdOf(entry);
    const ownUuid = uuidIn(lookup.resolve(own));
    const otherUuid = other && uuidIn(lookup.resolve(other));
    const uuid = ownUuid ?? otherUuid ?? derivePersonUuid(event.teamId, (other ?? own).distinctId);
    let handle = persons.activate(event.teamId, uuid, undefined);
    if (ownUuid !== undefined && otherUuid !== undefined && otherUuid !== ownUuid) {
      handle = this.#join(persons.activate(event.teamId, otherUuid, undefined), handle);
    }
    if (other) handle = this.#gather(handle, own, ownUuid);
    if (other) handle = this.#gather(handle, other, otherUuid);
    const slice = this.#slice(handle);
    const standsOn = isWanted || ownUuid !== undefined ? (other ? [own, other] : [own]) : NOBODY;
    for (const identity of standsOn) this.#pin(slice, identity, uuid);
    this.#order += 1;
    slice.routed.push({
      entry,
      personUuid: uuid,
      groups: groups.resolve(event, wantsProfile(event, project), repeat, this.#order),
      ids: standsOn.map(({ distinctId }) => distinctId),
      order: this.#order,
    });
    return isWanted ? standsOn : NOBODY;
  }

  /** Puts every slice into its mailbox. */
  deliver(): void {
    for (const handle of [...this.#slices.keys()]) this.#deliver(handle);
  }

  /** Events of an id without a person wait where that person would be: they go before those that follow. */
  #gather(
    handle: PersonHandle,
    { teamId, distinctId }: Identity,
    uuid: PersonUuid | undefined,
  ): PersonHandle {
    const { derivePersonUuid, persons } = this.#options;
    const lone = uuid === undefined ? persons.activeOf(derivePersonUuid(teamId, distinctId)) : undefined;
    return lone ? this.#join(lone, handle) : handle;
  }

  #pin(slice: Slice, identity: Identity, uuid: PersonUuid): void {
    const before = uuidIn(this.#options.lookup.resolve(identity));
    const isFirst = this.#options.identities.pin(identity, before ?? uuid);
    if (isFirst) slice.beliefs.push([identity.distinctId, before]);
  }

  #slice(handle: PersonHandle): Slice {
    let slice = this.#slices.get(handle);
    if (slice === undefined) {
      slice = { routed: [], beliefs: [] };
      this.#slices.set(handle, slice);
    }
    return slice;
  }

  /**
   * What was dispatched to either of them before comes first. Gives who takes over: the one with more persons, so that
   * in a chain of merges nobody moves more than a few times.
   */
  #join(one: PersonHandle, other: PersonHandle): PersonHandle {
    if (one === other) return one;
    const [source, target] = one.uuids.size > other.uuids.size ? [other, one] : [one, other];
    this.#deliver(source);
    this.#deliver(target);
    this.#options.persons.join(source, target);
    this.#options.onJoined(source, target);
    return target;
  }

  #deliver(handle: PersonHandle): void {
    const slice = this.#slices.get(handle);
    if (slice === undefined) return;
    this.#slices.delete(handle);
    this.#options.persons.deliver(handle, slice.routed, slice.beliefs);
    const entries = slice.routed.map(({ entry }) => entry);
    this.#options.onDelivered(handle, entries);
  }
}
