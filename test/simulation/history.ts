/** Random short histories of what SDKs send: few ids, so that they meet often, and pauses in which holds run out. */
import type { OracleEvent } from './oracle.ts';
import type { Random } from './random.ts';

/** An event on its way to the log. `atMs`: when the log takes it, from the beginning of the history. */
export interface HistoryEvent extends OracleEvent {
  readonly atMs: number;
  /** Of an import of old events. */
  readonly historical: boolean;
  /** Not as capture writes them: of a project that nobody knows, or no event at all. */
  readonly fault: 'none' | 'unknown_token' | 'malformed';
}

type Properties = Record<string, unknown>;
type Sent = Pick<HistoryEvent, 'name' | 'distinctId' | 'properties'> & Partial<HistoryEvent>;

const KINDS = {
  plain: 20,
  anonymous: 14,
  identify: 14,
  identifyAlone: 3,
  alias: 8,
  dangerously: 5,
  opposite: 2,
  set: 12,
  personless: 7,
  mobile: 4,
  groupIdentify: 6,
  strange: 4,
  historical: 2,
  again: 2,
  fault: 1,
};
type Kind = keyof typeof KINDS;

const PROFILE = '$process_person_profile';
const ILLEGAL: readonly [string, ...string[]] = ['guest', 'null', '"undefined"', ' ', '', '0'];
const MOBILE: readonly [string, ...string[]] = ['posthog-ios', 'posthog-android'];
const GROUP_TYPES: readonly [string, ...string[]] = ['company', 'team', 'project', 'plan', 'city', 'sixth'];

export function randomHistory(random: Random, epochMs: number): readonly HistoryEvent[] {
  const writer = new Writer(random, epochMs);
  const count = random.int(20, 110);
  while (writer.events.length < count) writer.write();
  return writer.events;
}

class Writer {
  readonly events: HistoryEvent[] = [];
  readonly #random: Random;
  readonly #epochMs: number;
  readonly #ids: [string, ...string[]] = ['anon-1'];
  readonly #groupTypes: number;
  /** Some histories are all aliases, some have none. */
  readonly #weights: Record<Kind, number>;
  #atMs = 0;
  /** Comes at the same moment as the one before. */
  #next: Sent | undefined;

  constructor(random: Random, epochMs: number) {
    this.#random = random;
    this.#epochMs = epochMs;
    const idCount = random.int(5, 12);
    for (let number = 2; number <= idCount; number++) {
      this.#ids.push(random.chance(0.5) ? `user-${number}` : `anon-${number}`);
    }
    this.#groupTypes = random.int(1, GROUP_TYPES.length);
    this.#weights = { ...KINDS };
    for (const kind of Object.keys(KINDS) as Kind[]) this.#weights[kind] *= random.pick([0.3, 1, 1, 3]);
  }

  write(): void {
    const random = this.#random;
    const gapMs = this.#gapMs();
    const kind = random.weighted(this.#weights);
    const next = this.#next;
    this.#next = undefined;
    if (next === undefined) this.#atMs += gapMs;
    const sent = next ?? this.#event(kind);
    const earlierMs = random.chance(0.2) ? random.int(1, 3_600_000) : 0;
    this.events.push({
      uuid: `00000000-0000-4000-8000-${String(this.events.length).padStart(12, '0')}`,
      timestampMs: this.#epochMs + this.#atMs - earlierMs,
      historical: false,
      fault: 'none',
      ...sent,
      atMs: this.#atMs,
    });
  }

  #event(kind: Kind): Sent {
    const random = this.#random;
    const id = random.pick(this.#ids);
    const other = random.pick(this.#ids);
    switch (kind) {
      case 'plain':
        return { name: 'plain', distinctId: id, properties: this.#extras(0.3, 0.2) };
      case 'anonymous':
        return { name: 'seen', distinctId: id, properties: { $device_id: id, ...this.#extras(0.3, 0.1) } };
      case 'identify':
        return this.#joining('$identify', '$anon_distinct_id', id, other);
      case 'identifyAlone':
        return { name: '$identify', distinctId: id, properties: this.#extras(0.7, 0) };
      case 'alias':
        return this.#joining('$create_alias', 'alias', id, other);
      case 'dangerously':
        return this.#joining('$merge_dangerously', 'alias', id, other);
      case 'opposite':
        this.#next = this.#either(other, id);
        return this.#either(id, other);
      case 'set':
        return { name: '$set', distinctId: id, properties: this.#extras(1, 0) };
      case 'personless':
        return { name: 'quiet', distinctId: id, properties: { [PROFILE]: false, ...this.#extras(0.5, 0.3) } };
      case 'mobile':
        return {
          name: 'tapped',
          distinctId: id,
          properties: { $lib: random.pick(MOBILE), ...this.#extras(0.3, 0) },
        };
      case 'groupIdentify':
        return { name: '$groupidentify', distinctId: id, properties: this.#groupIdentify() };
      case 'strange':
        return this.#strange(id, other);
      case 'historical':
        return { name: 'imported', distinctId: id, properties: this.#extras(0.5, 0), historical: true };
      case 'again':
        return this.events.length > 0 ? random.pick(this.events as [HistoryEvent]) : this.#event('plain');
      case 'fault': {
        const fault = random.pick(['unknown_token', 'malformed']);
        return { name: 'faulty', distinctId: id, properties: {}, fault };
      }
    }
  }

  #joining(name: string, key: string, distinctId: string, other: unknown): Sent {
    return { name, distinctId, properties: { [key]: other, ...this.#extras(0.5, 0.1) } };
  }

  #either(id: string, other: string): Sent {
    const name = this.#random.pick(['$identify', '$create_alias', '$merge_dangerously']);
    return this.#joining(name, name === '$identify' ? '$anon_distinct_id' : 'alias', id, other);
  }

  /** What only broken clients send. */
  #strange(id: string, other: string): Sent {
    const random = this.#random;
    const name = random.pick(['$identify', '$create_alias', '$merge_dangerously']);
    const key = name === '$identify' ? '$anon_distinct_id' : 'alias';
    switch (random.pick(['self', 'illegal', 'illegal own', 'number', 'null', 'personless', 'flag'])) {
      case 'self':
        return this.#joining(name, key, id, id);
      case 'illegal':
        return this.#joining(name, key, id, random.pick(ILLEGAL));
      case 'illegal own':
        return this.#joining(name, key, 'guest', other);
      case 'number':
        return this.#joining(name, key, id, 7);
      case 'null':
        return this.#joining(name, key, id, null);
      case 'personless':
        return { name, distinctId: id, properties: { [key]: other, [PROFILE]: false } };
      default:
        return { name: 'plain', distinctId: id, properties: { [PROFILE]: 'no', ...this.#extras(0.5, 0) } };
    }
  }

  /** Changes of few properties, so that they collide, and groups. */
  #extras(changes: number, groups: number): Properties {
    const random = this.#random;
    const properties: Properties = {};
    if (random.chance(changes)) {
      const number = this.events.length;
      const some = (value: unknown) =>
        Object.fromEntries(['a', 'b', 'c'].filter(() => random.chance(0.4)).map((key) => [key, value]));
      const value = random.pick<unknown>([`of ${number}`, number, null, { deep: number }]);
      if (random.chance(0.7)) properties['$set'] = some(value);
      if (random.chance(0.4)) properties['$set_once'] = some(`once ${number}`);
      if (random.chance(0.3)) properties['$unset'] = random.pick<unknown>([['a'], ['b', 'none'], { c: '' }]);
    }
    if (random.chance(groups)) properties['$groups'] = { [this.#groupType()]: `key ${random.int(1, 2)}` };
    return properties;
  }

  #groupIdentify(): Properties {
    const random = this.#random;
    return {
      $group_type: this.#groupType(),
      $group_key: `key ${random.int(1, 2)}`,
      $group_set: { [random.pick<string>(['a', 'b'])]: random.chance(0.2) ? 'same' : this.events.length },
      ...(random.chance(0.3) ? { [PROFILE]: false } : {}),
      ...this.#extras(0.2, 0.1),
    };
  }

  #groupType(): string {
    return GROUP_TYPES[this.#random.int(0, this.#groupTypes - 1)] ?? GROUP_TYPES[0];
  }

  #gapMs(): number {
    const random = this.#random;
    const kind = random.weighted({ none: 50, short: 30, middle: 15, long: 5 });
    return { none: 0, short: random.int(1, 40), middle: random.int(40, 800), long: random.int(800, 3_500) }[
      kind
    ];
  }
}
