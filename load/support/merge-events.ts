/** Events of people who use several browsers, log in now and then, and whose accounts have other names in the backend. */
import { randomUUID } from 'node:crypto';
import type { LoadEvent } from './client.ts';
import type { Random } from './random.ts';

const DEVICES = 2;
const ACCOUNTS = 2;
/** One login in so many is on somebody else's browser. */
const SHARED_DEVICE_IN = 20;
const NAMES = ['viewed product', 'added to cart', 'signed up', 'paid'];

/** Two distinct ids of which an event says that they are one person. */
export interface Join {
  readonly distinctId: string;
  readonly otherId: string;
}

/** People come and go: about one in ten of them is there at a time, and then has all its events. */
export function makeMergeEvents(
  random: Random,
  { events, persons }: { readonly events: number; readonly persons: number },
): readonly LoadEvent[] {
  const present = Math.ceil(persons / 10);
  return Array.from({ length: events }, (_, index) => {
    const first = Math.floor((index / events) * persons);
    return mergeEvent(random, (first + random.integer(present)) % persons, persons, index);
  });
}

/** 10 % `$identify`, 5 % `$create_alias`; the others anonymous ones, or by the user's id or an account's. */
function mergeEvent(random: Random, person: number, persons: number, index: number): LoadEvent {
  const user = `user-${person}`;
  const account = `account-${person}-${random.integer(ACCOUNTS)}`;
  const kind = random.next();
  if (kind < 0.1) {
    const owner = random.integer(SHARED_DEVICE_IN) === 0 ? (person + 1) % persons : person;
    const $anon_distinct_id = deviceOf(random, owner);
    return loadEvent('$identify', user, index, { $anon_distinct_id });
  }
  if (kind < 0.15) return loadEvent('$create_alias', user, index, { distinct_id: user, alias: account });
  const name = NAMES[random.integer(NAMES.length)] ?? '';
  if (kind < 0.55) {
    const $device_id = deviceOf(random, person);
    return loadEvent(name, $device_id, index, { $device_id });
  }
  return loadEvent(name, kind < 0.85 ? user : account, index, {});
}

const deviceOf = (random: Random, person: number): string => `device-${person}-${random.integer(DEVICES)}`;

/** One in four sets a property that no other event sets. */
function loadEvent(
  event: string,
  distinct_id: string,
  index: number,
  properties: LoadEvent['properties'],
): LoadEvent {
  return {
    uuid: randomUUID(),
    event,
    distinct_id,
    timestamp: new Date().toISOString(),
    properties: {
      ...properties,
      ...(index % 4 === 0 ? { $set: { [`set_${index}`]: index } } : {}),
      $current_url: `https://shop.example.com/product/${index % 900}`,
      note: 'x'.repeat(400),
    },
  };
}

export function joinOf({ event, distinct_id, properties }: LoadEvent): Join | undefined {
  if (event === '$identify')
    return { distinctId: distinct_id, otherId: String(properties['$anon_distinct_id']) };
  if (event === '$create_alias') return { distinctId: distinct_id, otherId: String(properties['alias']) };
  return undefined;
}
