/**
 * Events that meet: people with devices, accounts and groups who log in, merge, are held and set few properties, and
 * clients that send what cannot be. The oracle knows everything that these events do.
 */
import { randomUUID } from 'node:crypto';
import type { LoadEvent } from './client.ts';
import type { Random } from './random.ts';

type Properties = Readonly<Record<string, unknown>>;
type Sent = readonly [event: string, distinctId: string, properties: Properties];

const KINDS = {
  anonymous: 22,
  known: 26,
  account: 8,
  identify: 13,
  alias: 6,
  dangerously: 1,
  set: 7,
  personless: 5,
  mobile: 3,
  group: 5,
  broken: 2,
  again: 2,
} as const;
type Kind = keyof typeof KINDS;
const KINDS_BY_CHANCE = Object.entries(KINDS).flatMap(([kind, weight]) =>
  Array<Kind>(weight).fill(kind as Kind),
);

export interface People {
  /** Who send at the same time, and for how many events one of them is among them. */
  readonly present: number;
  readonly eventsPerPerson: number;
  readonly devices: number;
}

const PEOPLE: People = { present: 40, eventsPerPerson: 12, devices: 2 };
/** One login in so many is on somebody else's device. */
const SHARED_DEVICE_IN = 15;
const REMEMBERED = 200;
/** Events that say that two ids are the same person, and where they name the other one. */
const JOINS = {
  $identify: '$anon_distinct_id',
  $create_alias: 'alias',
  $merge_dangerously: 'alias',
} as const;
export type Join = keyof typeof JOINS;
const KEYS = ['a', 'b', 'c', 'd'];
const GROUP_TYPES = ['company', 'team', 'project'];
const GROUPS = 20;

export class TortureEvents {
  readonly #random: Random;
  readonly #name: string;
  readonly #people: People;
  readonly #last: LoadEvent[] = [];
  #count = 0;

  /** Its people are those of this name. */
  constructor(random: Random, name: string, people: People = PEOPLE) {
    this.#random = random;
    this.#name = name;
    this.#people = people;
  }

  /** Old ones may be sent again. */
  next(): LoadEvent {
    const kind = this.#pick(KINDS_BY_CHANCE);
    const old = kind === 'again' ? this.#last[this.#random.integer(REMEMBERED)] : undefined;
    if (old !== undefined) return old;
    this.#count += 1;
    const made = this.#made(this.#sent(kind));
    this.#last[this.#count % REMEMBERED] = made;
    return made;
  }

  /** One that says that two ids are the same person, of two of the ids that `ids` gave. */
  joining(event: Join, distinctId: string, other: string): LoadEvent {
    this.#count += 1;
    return this.#made([event, distinctId, { [JOINS[event]]: other, ...this.#changes(0.7) }]);
  }

  /** Some id of each of so many people that are present. */
  ids(count: number): readonly string[] {
    const first = this.#random.integer(this.#people.present);
    return Array.from({ length: count }, (_, index) => {
      const { user, device, account } = this.#idsOf((first + index) % this.#people.present);
      return this.#pick([user, device, account]);
    });
  }

  #idsOf(index: number) {
    const person = Math.floor(this.#count / this.#people.eventsPerPerson) + index;
    return {
      person,
      user: `user-${this.#name}-${person}`,
      device: `device-${this.#name}-${person}-${this.#random.integer(this.#people.devices)}`,
      account: `account-${this.#name}-${person}`,
    };
  }

  #made([event, distinct_id, properties]: Sent): LoadEvent {
    const timestamp = new Date(Date.now() - (this.#chance(0.2) ? this.#random.integer(3_600_000) : 0));
    return { uuid: randomUUID(), event, distinct_id, timestamp: timestamp.toISOString(), properties };
  }

  #sent(kind: Kind): Sent {
    const { user, device, account, person } = this.#idsOf(this.#random.integer(this.#people.present));
    switch (kind) {
      case 'identify': {
        const isShared = this.#random.integer(SHARED_DEVICE_IN) === 0;
        const $anon_distinct_id = isShared ? `device-${this.#name}-${person + 1}-0` : device;
        return ['$identify', user, { $anon_distinct_id, ...this.#changes(0.6) }];
      }
      case 'alias':
        return ['$create_alias', user, { alias: account, ...this.#changes(0.2) }];
      case 'dangerously':
        return ['$merge_dangerously', user, { alias: `user-${this.#name}-${person + 1}` }];
      case 'known':
        return ['viewed product', user, { ...this.#changes(0.3), ...this.#groups() }];
      case 'account':
        return ['invoice paid', account, this.#changes(0.3)];
      case 'set':
        return ['$set', user, this.#changes(1)];
      case 'personless':
        return [
          'pinged',
          this.#pick([user, device]),
          { $process_person_profile: false, ...this.#changes(0.3) },
        ];
      case 'mobile':
        return ['tapped', account, { $lib: 'posthog-ios', ...this.#changes(0.3) }];
      case 'group':
        return ['$groupidentify', user, this.#groupIdentify()];
      case 'broken':
        return [
          '$identify',
          user,
          this.#chance(0.5) ? { $anon_distinct_id: 7 } : { $process_person_profile: false },
        ];
      default:
        return ['viewed page', device, { $device_id: device, ...this.#changes(0.3), ...this.#groups() }];
    }
  }

  /** Of few properties, so that they collide. */
  #changes(probability: number): Properties {
    const note = 'x'.repeat(200 + this.#random.integer(300));
    if (!this.#chance(probability)) return { note };
    const some = (value: unknown): Properties =>
      Object.fromEntries(KEYS.filter(() => this.#chance(0.4)).map((key) => [key, value]));
    return {
      note,
      $set: some(this.#count),
      ...(this.#chance(0.4) ? { $set_once: some(`first ${this.#count}`) } : {}),
      ...(this.#chance(0.2) ? { $unset: [this.#pick(KEYS)] } : {}),
    };
  }

  #groups(): Properties {
    return this.#chance(0.2) ? { $groups: { [this.#pick(GROUP_TYPES)]: this.#groupKey() } } : {};
  }

  #groupIdentify(): Properties {
    return {
      $group_type: this.#pick(GROUP_TYPES),
      $group_key: this.#groupKey(),
      $group_set: { [this.#pick(KEYS)]: this.#count },
    };
  }

  /** All clients know them. */
  #groupKey = (): string => `group ${this.#random.integer(GROUPS)}`;

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  #pick<Item>(from: readonly Item[]): Item {
    const item = from[this.#random.integer(from.length)];
    if (item === undefined) throw new RangeError('there is nothing to pick from');
    return item;
  }
}
