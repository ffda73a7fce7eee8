/**
 * What persons, ids and groups are after a list of events: one event after another, nothing at once, nothing lost.
 * Written from the reference, for reading. It shares no code with what it judges: it imports nothing.
 */

type Value = unknown;
type Properties = Readonly<Record<string, Value>>;

export interface OracleEvent {
  readonly uuid: string;
  readonly name: string;
  readonly distinctId: string;
  readonly timestampMs: number;
  readonly properties: Properties;
}

export interface OraclePerson {
  readonly uuid: string;
  readonly properties: Properties;
  readonly isIdentified: boolean;
  readonly createdAtMs: number;
}

export interface OracleGroup {
  readonly type: string;
  readonly key: string;
  readonly properties: Properties;
  readonly createdAtMs: number;
}

/** What an event did to its ids. */
export type Meeting =
  | 'nothing'
  | 'created'
  | 'created_by_two_unknown'
  | 'attached'
  | 'merged'
  | 'refused'
  | 'illegal'
  | 'without_profile';

/** Where an event names the other id: the same person as its own one. */
const OTHER_ID: Readonly<Record<string, string>> = {
  $identify: '$anon_distinct_id',
  $create_alias: 'alias',
  $merge_dangerously: 'alias',
};

const ILLEGAL_IN_ANY_CASE =
  'anonymous guest distinctid distinct_id id not_authenticated email undefined true false'.split(' ');
const ILLEGAL = ['[object Object]', 'NaN', 'None', 'none', 'null', '0'];

/** An event that ends without a row: the reason for its drop. */
export function dropReason({ name, properties }: OracleEvent): string | undefined {
  const key = OTHER_ID[name];
  if (key === undefined) return undefined;
  if (properties['$process_person_profile'] === false) {
    return 'invalid_event_when_process_person_profile_is_false';
  }
  const other = properties[key];
  if (typeof other === 'string' || other === undefined || other === null) return undefined;
  return `invalid_${key.replace('$', '')}`;
}

/** The other id of an event that joins two, if it is another one. */
export function otherIdOf({ name, distinctId, properties }: OracleEvent): string | undefined {
  const other = properties[OTHER_ID[name] ?? ''];
  return typeof other === 'string' && other !== distinctId ? other : undefined;
}

/** Whether a crowd of strangers would share the id. */
export function isIllegal(id: string): boolean {
  const bare = /^(["']).*\1$/s.test(id) && id.length > 1 ? id.slice(1, -1) : id;
  return id.trim() === '' || ILLEGAL_IN_ANY_CASE.includes(bare.toLowerCase()) || ILLEGAL.includes(bare);
}

export class Oracle {
  /** By uuid. */
  readonly persons = new Map<string, OraclePerson>();
  /** Distinct id to the uuid of its person. */
  readonly ids = new Map<string, string>();
  /** By type and key. */
  readonly groups = new Map<string, OracleGroup>();
  readonly #uuidFor: (distinctId: string) => string;

  /** `uuidFor`: the uuid of the person that is made for a distinct id. */
  constructor(uuidFor: (distinctId: string) => string) {
    this.#uuidFor = uuidFor;
  }

  personOf(distinctId: string): OraclePerson | undefined {
    return this.persons.get(this.ids.get(distinctId) ?? '');
  }

  fold(event: OracleEvent): Meeting {
    if (event.name === '$groupidentify') this.#identifyGroup(event);
    if (event.properties['$process_person_profile'] === false) return 'without_profile';
    const other = otherIdOf(event);
    if (other === undefined) return this.#alone(event);
    if (!isIllegal(event.distinctId) && !isIllegal(other)) return this.#join(event, other);
    this.#alone(event);
    return 'illegal';
  }

  #alone(event: OracleEvent): Meeting {
    const person = this.personOf(event.distinctId);
    if (person) {
      this.#keep(updated(person, event));
      return 'nothing';
    }
    this.#keep(created(this.#uuidFor(event.distinctId), event, false));
    this.ids.set(event.distinctId, this.#uuidFor(event.distinctId));
    return 'created';
  }

  #join(event: OracleEvent, otherId: string): Meeting {
    const own = this.personOf(event.distinctId);
    const other = this.personOf(otherId);
    if (own === undefined && other === undefined) {
      // The uuid of the id that is merged in: its events may already be out under it.
      const person = created(this.#uuidFor(otherId), event, true);
      this.#keep(person);
      this.ids.set(event.distinctId, person.uuid);
      this.ids.set(otherId, person.uuid);
      return 'created_by_two_unknown';
    }
    const target = own ?? other;
    if (target === undefined) throw new Error('one of the two is there');
    if (own === undefined || other === undefined) {
      this.ids.set(own === undefined ? event.distinctId : otherId, target.uuid);
      this.#keep(updated({ ...target, isIdentified: true }, event));
      return 'attached';
    }
    if (own.uuid === other.uuid) {
      this.#keep(updated({ ...own, isIdentified: true }, event));
      return 'nothing';
    }
    if (other.isIdentified && event.name !== '$merge_dangerously') {
      this.#keep(updated({ ...own, isIdentified: true }, event));
      return 'refused';
    }
    const merged = {
      uuid: own.uuid,
      properties: { ...other.properties, ...own.properties },
      isIdentified: true,
      createdAtMs: Math.min(own.createdAtMs, other.createdAtMs),
    };
    this.#keep(updated(merged, event));
    this.persons.delete(other.uuid);
    for (const [id, uuid] of this.ids) if (uuid === other.uuid) this.ids.set(id, own.uuid);
    return 'merged';
  }

  #keep(person: OraclePerson): void {
    this.persons.set(person.uuid, person);
  }

  #identifyGroup({ properties, timestampMs }: OracleEvent): void {
    const [type, key] = [properties['$group_type'], properties['$group_key']].map(String);
    if (!properties['$group_type'] || !properties['$group_key'] || type === undefined || key === undefined) {
      return;
    }
    const name = `${type}:${key}`;
    const before = this.groups.get(name) ?? { type, key, properties: {}, createdAtMs: timestampMs };
    this.groups.set(name, {
      ...before,
      properties: { ...before.properties, ...objectOf(properties['$group_set']) },
      createdAtMs: Math.min(before.createdAtMs, timestampMs),
    });
  }
}

function created(uuid: string, event: OracleEvent, isIdentified: boolean): OraclePerson {
  const { $set, $set_once } = event.name === '$groupidentify' ? {} : event.properties;
  const properties = { ...objectOf($set_once), ...objectOf($set), $creator_event_uuid: event.uuid };
  return { uuid, properties, isIdentified, createdAtMs: event.timestampMs };
}

function updated(person: OraclePerson, { name, properties }: OracleEvent): OraclePerson {
  if (['$groupidentify', '$exception', '$$heatmap'].includes(name)) return person;
  const before = person.properties;
  const after: Record<string, Value> = { ...before };
  for (const [key, value] of Object.entries(objectOf(properties['$set_once']))) {
    if (before[key] === undefined || before[key] === null) after[key] = value;
  }
  Object.assign(after, objectOf(properties['$set']));
  // What the person did not have, this event's own $set has just brought: that stays.
  for (const key of namesOf(properties['$unset'])) if (key in before) delete after[key];
  return { ...person, properties: after };
}

function objectOf(value: Value): Properties {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

const namesOf = (value: Value): readonly string[] =>
  Array.isArray(value) ? value.filter((name) => typeof name === 'string') : Object.keys(objectOf(value));
