/**
 * Follows a system from one death to the next by what is durable: every record of the log, the order in which saves
 * folded them (the witness), and what left for ClickHouse. The oracle folds the same records in the same order.
 */
import { createHash } from 'node:crypto';
import { asDistinctId, asTeamId } from '../../src/event/ids.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { inRanges } from '../../src/storage/offset-ranges.ts';
import type { Progress } from '../../src/storage/person-store.ts';
import { dropReason, type Meeting, Oracle, otherIdOf } from '../../test/simulation/oracle.ts';
import { canonical } from '../../test/simulation/outputs.ts';
import { objectOf } from './torture-json.ts';
import type { LogNews } from './torture-log.ts';
import type { Ingested, Produced, Source } from './torture-records.ts';

/** One save: what it folded, in that order, and the versions of its persons after that. */
export interface Witnessed {
  readonly place: number;
  readonly partitions: readonly number[];
  readonly offsets: readonly number[];
  readonly persons: readonly string[];
  readonly versions: readonly number[];
}

/** How far a partition has come, by what was saved. */
export interface PartitionProgress extends Pick<Progress, 'readPosition' | 'unfinished'> {
  readonly partition: number;
}

/** What became of the records of the log, counted one by one. */
export interface Fates {
  records: number;
  rows: number;
  deadLetters: number;
  readonly dropped: Record<string, number>;
  /** Records whose uuid was in the log before, and those of them that became rows once more. */
  repeated: number;
  repeatedRows: number;
  /** Rows that were produced again, by a replay. */
  sentAgain: number;
}

interface Followed extends Ingested {
  /** Its uuid was in the log before. */
  readonly isRepeat: boolean;
  isFolded: boolean;
}

/** Of a distinct id: the highest offsets folded so far, of all its records and of those that can be held. */
interface Reached {
  any: number;
  holdable: number;
}

const TEAM = asTeamId(1);
export const uuidFor = (distinctId: string): string => derivePersonUuid(TEAM, asDistinctId(distinctId));

export class Follower {
  readonly oracle = new Oracle(uuidFor);
  /** What must not be, a line each. */
  readonly problems: string[] = [];
  readonly fates: Fates = {
    records: 0,
    rows: 0,
    deadLetters: 0,
    dropped: {},
    repeated: 0,
    repeatedRows: 0,
    sentAgain: 0,
  };
  /** Uuids of all records of the log. */
  readonly logged = new Set<string>();
  /** Uuids of records that ended without a row, on purpose. */
  readonly dropped = new Set<string>();
  /** The last version of each person. */
  readonly versions = new Map<string, number>();
  /** Records without a fate. */
  readonly #records = new Map<Source, Followed>();
  readonly #rows = new Set<Source>();
  readonly #deadLetters = new Set<Source>();
  readonly #reached = new Map<string, Reached>();
  /** Digests of every state that a person ever had. */
  readonly #states = new Set<string>();
  #place = 0;

  /** Place of the last work that was followed. */
  get place(): number {
    return this.#place;
  }

  /** Everything since the last time. */
  follow(
    { ingested, produced, deadLetters }: Omit<LogNews, 'notLoaded'>,
    witnessed: readonly Witnessed[],
    progress: readonly PartitionProgress[],
  ): void {
    for (const record of ingested) this.#log(record);
    for (const source of deadLetters) this.#deadLetters.add(source);
    for (const work of witnessed) this.#witness(work);
    for (const row of produced) this.#produce(row);
    for (const one of progress) this.#settle(one);
  }

  /** Whether its row or dead letter is on the output topics. */
  hasLeft(source: Source): boolean {
    return this.#rows.has(source) || this.#deadLetters.has(source);
  }

  /** Records without a fate: there are some while a system runs. */
  get unsettled(): readonly Source[] {
    return [...this.#records.keys()];
  }

  #log(record: Ingested): void {
    const isRepeat = this.logged.has(record.uuid);
    this.logged.add(record.uuid);
    this.fates.records += 1;
    if (isRepeat) this.fates.repeated += 1;
    this.#records.set(record.source, { ...record, isRepeat, isFolded: false });
  }

  #witness({ place, partitions, offsets, persons, versions }: Witnessed): void {
    this.#place = place;
    offsets.forEach((offset, index) => {
      const source = `${partitions[index]}:${offset}`;
      const record = this.#records.get(source);
      if (record === undefined)
        this.problems.push(`${source} was folded, and is not in the log or has ended already`);
      else if (record.isFolded) this.problems.push(`${source} was folded twice`);
      else this.#fold(record);
    });
    persons.forEach((uuid, index) => {
      const version = versions[index] ?? 0;
      const before = this.versions.get(uuid) ?? 0;
      if (version < before) this.problems.push(`person ${uuid} has version ${version} after ${before}`);
      this.versions.set(uuid, version);
    });
  }

  #fold(record: Followed): void {
    record.isFolded = true;
    // What failed changed nothing.
    const meeting: Meeting = this.#deadLetters.has(record.source) ? 'nothing' : this.oracle.fold(record);
    const person = this.oracle.personOf(record.distinctId);
    if (person) this.#states.add(digest(person.uuid, person.properties));
    const matters = meeting !== 'without_profile' && (meeting !== 'nothing' || mayChange(record));
    if (matters) this.#checkOrder(record);
  }

  /** Of one id, a record that can be held may be overtaken by one that cannot: by nothing else. */
  #checkOrder(record: Followed): void {
    const { source, offset, distinctId, isRepeat } = record;
    const holds = isHoldable(record);
    const reached = this.#reached.get(distinctId) ?? { any: -1, holdable: -1 };
    const later = holds ? reached.holdable : reached.any;
    if (later > offset && !isRepeat)
      this.problems.push(`${source} was overtaken by offset ${later} of its id`);
    reached.any = Math.max(reached.any, offset);
    if (holds) reached.holdable = Math.max(reached.holdable, offset);
    this.#reached.set(distinctId, reached);
  }

  #produce({ source, uuid, distinctId, person }: Produced): void {
    const record = this.#records.get(source);
    if (record ? record.uuid !== uuid : !this.#rows.has(source)) {
      this.problems.push(`row ${uuid} is of record ${source}, which is another one`);
    }
    if (this.#rows.has(source)) this.fates.sentAgain += 1;
    this.#rows.add(source);
    if (person.isFull && !this.#states.has(digest(person.uuid, JSON.parse(person.properties)))) {
      this.problems.push(`row ${uuid} of ${distinctId} shows person ${person.uuid} as it never was`);
    }
  }

  /** Records that have their fate by what was saved: they must have left, or have a reason not to. */
  #settle({ partition, readPosition, unfinished }: PartitionProgress): void {
    for (const [source, record] of this.#records) {
      const { offset } = record;
      if (record.partition !== partition || offset >= readPosition || inRanges(unfinished, offset)) continue;
      this.#records.delete(source);
      this.#count(record);
    }
  }

  #count(record: Followed): void {
    const { source, uuid, distinctId, isRepeat, isFolded, properties } = record;
    const reason = dropReason(record) ?? (isRepeat ? 'duplicate' : undefined);
    if (this.#rows.has(source)) {
      this.fates.rows += 1;
      if (isRepeat) this.fates.repeatedRows += 1;
      if (isFolded) return;
      if (mayChange(record)) this.problems.push(`${source} may change something, and was never folded`);
      const isWithoutProfile = properties['$process_person_profile'] === false;
      if (!isWithoutProfile && !this.oracle.ids.has(distinctId)) {
        this.problems.push(`${source} was never folded, and its id has no person`);
      }
    } else if (this.#deadLetters.has(source)) this.fates.deadLetters += 1;
    else if (reason !== undefined) {
      this.fates.dropped[reason] = (this.fates.dropped[reason] ?? 0) + 1;
      if (!isRepeat) this.dropped.add(uuid);
    } else this.problems.push(`${source} has its fate, and is no row, no dead letter and no drop`);
  }
}

/** Whether it waits while its id has no person. */
function isHoldable(event: Ingested): boolean {
  const { name, distinctId, properties } = event;
  if (name === '$groupidentify' || properties['$process_person_profile'] === false) return false;
  if (properties['$device_id'] === distinctId || /^posthog-/.test(String(properties['$lib']))) return false;
  return otherIdOf(event) === undefined;
}

/** Whether a fold of the event has to be remembered: it may change a person or a group that is there. */
function mayChange(event: Followed): boolean {
  const { name, properties } = event;
  if (dropReason(event) !== undefined) return false;
  if (name === '$groupidentify') return true;
  if (properties['$process_person_profile'] === false) return false;
  const changes = ['$set', '$set_once', '$unset'].map((key) => Object.values(properties[key] ?? {}).length);
  return otherIdOf(event) !== undefined || changes.some((count) => count > 0);
}

const digest = (uuid: string, properties: unknown): string =>
  createHash('sha1')
    .update(`${uuid} ${canonical(objectOf(properties))}`)
    .digest('base64')
    .slice(0, 12);
