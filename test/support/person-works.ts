/** Works for a `PersonStore`, folded by the real fold on what the store says when they are made. */
import type { PipelineEvent } from '../../src/event/event.ts';
import { asDistinctId, asTeamId, type DistinctId, type PersonUuid } from '../../src/event/ids.ts';
import type { JsonObject } from '../../src/event/json.ts';
import { derivePersonUuid, newEventUuid } from '../../src/ids.ts';
import { type FoldInput, foldEvents } from '../../src/person/fold.ts';
import { type GroupChange, NO_GROUPS } from '../../src/person/group.ts';
import type { Known } from '../../src/person/known.ts';
import { mergeRequest } from '../../src/person/merge.ts';
import type { Person } from '../../src/person/person.ts';
import type {
  Acquired,
  PartitionEpoch,
  PartitionKey,
  PersonStore,
  PersonWork,
  Saved,
} from '../../src/storage/person-store.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';

export const TEAM = asTeamId(1);
export const AT_MS = 1_700_000_000_000;

export interface EventSpec {
  readonly id: string;
  readonly name?: string;
  readonly properties?: JsonObject;
  readonly atMs?: number;
  /** Who is made for an id that has nobody; else the person derived from the id. */
  readonly personUuid?: PersonUuid;
  readonly change?: GroupChange;
}

export const personOf = (id: string): PersonUuid => derivePersonUuid(TEAM, asDistinctId(id));
export const set = (id: string, $set: JsonObject): EventSpec => ({ id, name: '$set', properties: { $set } });
export const identify = (id: string, anonymous: string): EventSpec => ({
  id,
  name: '$identify',
  properties: { $anon_distinct_id: anonymous },
});
export const mergeDangerously = (id: string, alias: string): EventSpec => ({
  id,
  name: '$merge_dangerously',
  properties: { alias },
});
export const groupOf = (
  typeIndex: number,
  key: string,
  $group_set: JsonObject,
  atMs = AT_MS,
): GroupChange => ({
  teamId: TEAM,
  typeIndex,
  key,
  set: $group_set,
  timestampMs: atMs,
  order: 0,
});
export const groupIdentify = (id: string, change: GroupChange): EventSpec => ({
  id,
  name: '$groupidentify',
  change,
});

/** The same for the same seed. */
export function shuffled<Item>(items: readonly Item[], seed: number): readonly Item[] {
  const rank = (index: number) => ((index + 1) * 7_919 * (seed + 1)) % 104_729;
  return items
    .map((item, index) => ({ item, rank: rank(index) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

export type SavedWork = Extract<Saved, { kind: 'saved' }>;

/** The owner of one partition. */
export class Owner {
  readonly acquired: Acquired;
  readonly partition: PartitionEpoch;
  readonly #store: PersonStore;
  #offset = 0;

  private constructor(store: PersonStore, key: PartitionKey, acquired: Acquired) {
    this.#store = store;
    this.acquired = acquired;
    this.partition = { key, epoch: acquired.epoch };
  }

  static async take(store: PersonStore, partition = 0): Promise<Owner> {
    const key = { logId: 'log', topic: INGESTION_TOPIC, partition } as const;
    return new Owner(store, key, await store.acquire(key, 0));
  }

  /** The events at the partition's next offsets. */
  async work(...specs: readonly EventSpec[]): Promise<PersonWork> {
    const { partition } = this.partition.key;
    const records = specs.map(() => {
      const offset = this.#offset++;
      return { partition, offset, repeat: false, order: offset };
    });
    return { ...(await foldSpecs(this.#store, specs)), records };
  }

  save(...works: readonly PersonWork[]): Promise<readonly Saved[]> {
    return this.#store.save([this.partition], works);
  }

  /** Saves the events as one work that has to hold. */
  async write(...specs: readonly EventSpec[]): Promise<SavedWork> {
    const [saved] = await this.save(await this.work(...specs));
    if (saved?.kind !== 'saved') throw new Error('the work was broken');
    return saved;
  }
}

async function foldSpecs(
  store: PersonStore,
  specs: readonly EventSpec[],
): Promise<Omit<PersonWork, 'records'>> {
  const events = specs.map(eventOf);
  const believed = await believe(store, events);
  const inputs = specs.map((spec, index): FoldInput => {
    const event = events[index];
    if (event === undefined) throw new Error('as many events as specs');
    return {
      entry: { event, project: PROJECT, repeat: false },
      personUuid: spec.personUuid ?? believed.ids.get(event.distinctId) ?? personOf(event.distinctId),
      groups: { ...NO_GROUPS, change: spec.change },
    };
  });
  const fold = (persons: ReadonlyMap<PersonUuid, Person>, overfull: ReadonlySet<PersonUuid>) =>
    foldEvents({ persons, ids: believed.ids }, inputs, { derivePersonUuid, overfull });
  return {
    teamId: TEAM,
    believed,
    checked: true,
    folded: fold(believed.persons, new Set()),
    refold: fold,
  };
}

const PROJECT = { anonymizeIps: false, personProcessingOptOut: false };

const eventOf = ({ id, name = 'event', properties = {}, atMs = AT_MS }: EventSpec): PipelineEvent => ({
  uuid: newEventUuid(),
  teamId: TEAM,
  distinctId: asDistinctId(id),
  name,
  properties,
  timestampMs: atMs,
  capturedAtMs: atMs,
  historicalMigration: false,
  warnings: [],
});

async function believe(store: PersonStore, events: readonly PipelineEvent[]): Promise<Known> {
  const ids = new Map<DistinctId, PersonUuid | undefined>();
  for (const event of events) {
    ids.set(event.distinctId, undefined);
    const request = mergeRequest(event);
    if (request) ids.set(request.otherId, undefined);
  }
  const persons = new Map<PersonUuid, Person>();
  const asked = [...ids.keys()].map((distinctId) => ({ teamId: TEAM, distinctId }));
  for (const { distinctId, person } of await store.findByIds(asked)) {
    ids.set(distinctId, person.uuid);
    persons.set(person.uuid, person);
  }
  return { persons, ids };
}
