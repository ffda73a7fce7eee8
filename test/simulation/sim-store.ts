/**
 * Persons and progress in memory, as the port has them. Every call is one transaction, serial and at once; what a
 * process sees of it is for its `Wire` to say. It keeps the witness: the order in which folds were saved.
 */
import type { PersonUuid } from '../../src/event/ids.ts';
import { type Group, type GroupId, groupKey } from '../../src/person/group.ts';
import type { Person } from '../../src/person/person.ts';
import {
  type Acquired,
  type DeletedPerson,
  FencedError,
  type FoldedRange,
  type Found,
  foldedRecords,
  type GroupType,
  type GroupTypeId,
  type Identity,
  type Mapping,
  type OffsetRange,
  type PartitionEpoch,
  type PartitionKey,
  type PartitionSave,
  type PersonStore,
  type PersonWithIds,
  type PersonWork,
  type Progress,
  type Recorded,
  type RecordPosition,
  type Saved,
  type WorkRecord,
} from '../../src/storage/person-store.ts';
import { saveWorks } from './sim-save.ts';

/** One save: what it folded, in the order in which that was dispatched, and the persons after it. */
export interface Witnessed {
  readonly atMs: number;
  readonly offsets: readonly RecordPosition[];
  readonly persons: readonly Person[];
}

export interface MappingRow {
  readonly person: PersonUuid;
  readonly version: number;
}

interface PartitionRow {
  readonly partition: number;
  epoch: number;
  foldedBelow: number;
  folded: readonly FoldedRange[];
  progress: Progress;
  replayFrom: number | undefined;
  /** The list that was saved last, and the one before. */
  unfinished: readonly (readonly OffsetRange[])[];
}

const GROUP_TYPES_MAX = 5;

/** The tables. */
export class SimStore {
  readonly persons = new Map<PersonUuid, Person>();
  /** By `identityKey`. */
  readonly ids = new Map<string, MappingRow>();
  readonly deleted = new Map<PersonUuid, DeletedPerson>();
  /** By `groupKey`. */
  readonly groups = new Map<string, Group>();
  readonly witness: Witnessed[] = [];
  /** Saves and progress that came from a former owner. */
  fenced = 0;
  /** Works that stood on something that was no longer so. */
  broken = 0;
  readonly #groupTypes = new Map<string, GroupType>();
  readonly #partitions = new Map<string, PartitionRow>();
  readonly #nowMs: () => number;
  readonly #mergeIdsMax: number;

  /** `mergeIdsMax`: distinct ids that one merge may move. */
  constructor(nowMs: () => number, mergeIdsMax = Number.POSITIVE_INFINITY) {
    this.#nowMs = nowMs;
    this.#mergeIdsMax = mergeIdsMax;
  }

  acquire(key: PartitionKey, firstOffset: number): Acquired {
    const row = this.#partitions.get(partitionName(key)) ?? newPartition(key.partition, firstOffset);
    this.#partitions.set(partitionName(key), row);
    row.epoch += 1;
    const { epoch, foldedBelow, folded, progress } = row;
    const isWhole = JSON.stringify(progress.unfinished) === JSON.stringify(row.unfinished[0]);
    const asked = row.replayFrom === undefined ? {} : { replayFrom: row.replayFrom };
    return { epoch, foldedBelow, folded, progress, isWhole, ...asked };
  }

  findByIds(ids: readonly Identity[]): readonly Found[] {
    return ids.flatMap(({ teamId, distinctId }) => {
      const person = this.personOf({ teamId, distinctId });
      return person ? [{ teamId, distinctId, person }] : [];
    });
  }

  findRecorded(persons: readonly PersonUuid[], groups: readonly GroupId[]): Recorded {
    const found: PersonWithIds[] = [];
    const deleted: DeletedPerson[] = [];
    for (const uuid of new Set(persons)) {
      const person = this.persons.get(uuid);
      if (person) found.push({ person, ids: this.idsOf(person) });
      const gone = this.deleted.get(uuid);
      if (gone) deleted.push(gone);
    }
    return { persons: found, deleted, groups: this.findGroups(groups) };
  }

  groupTypes(types: readonly GroupTypeId[]): readonly GroupType[] {
    return types.map(({ teamId, type }) => {
      const known = this.#groupTypes.get(`${teamId}:${type}`);
      if (known) return known;
      const index = this.typesOf(teamId).length;
      if (index >= GROUP_TYPES_MAX) return { teamId, type, index: undefined };
      const allotted = { teamId, type, index };
      this.#groupTypes.set(`${teamId}:${type}`, allotted);
      return allotted;
    });
  }

  findGroups(groups: readonly GroupId[]): readonly Group[] {
    return groups.flatMap((id) => this.groups.get(groupKey(id)) ?? []);
  }

  save(partitions: readonly PartitionEpoch[], works: readonly PersonWork[]): readonly Saved[] {
    this.#checkEpochs(partitions);
    const { saved, recorded } = saveWorks(this, works, this.#mergeIdsMax);
    const folded = new Map<PersonWork, readonly WorkRecord[]>();
    const persons: Person[] = [];
    works.forEach((work, index) => {
      const one = saved[index];
      if (one?.kind === 'broken') this.broken += 1;
      if (one?.kind !== 'saved') return;
      const offsets = foldedRecords(work, one.folded);
      folded.set(work, offsets);
      persons.push(...one.folded.known.persons.values());
    });
    const offsets = [...folded.values()].flat().toSorted((a, b) => a.order - b.order);
    if (offsets.length > 0) this.witness.push({ atMs: this.#nowMs(), offsets, persons });
    for (const { key } of partitions) {
      const row = this.#row(key);
      for (const [work, what] of recorded) {
        const own = (folded.get(work) ?? []).filter(({ partition }) => partition === key.partition);
        const ranges = rangesOf(own.map(({ offset }) => offset));
        row.folded = [...row.folded, ...ranges.map((range) => ({ ...range, ...what }))];
      }
      row.folded = row.folded.toSorted((a, b) => a.from - b.from);
    }
    return saved;
  }

  saveProgress(partitions: readonly PartitionSave[]): void {
    this.#checkEpochs(partitions);
    for (const { key, progress, foldedBelow } of partitions) {
      const row = this.#row(key);
      row.progress = progress;
      row.replayFrom = undefined;
      row.unfinished = [progress.unfinished, ...row.unfinished.slice(0, 1)];
      row.foldedBelow = Math.max(row.foldedBelow, foldedBelow);
      row.folded = row.folded.filter(({ to }) => to >= row.foldedBelow);
    }
  }

  /** Every list of unfinished offsets is lost, or becomes the one before it. Gives whether that made a difference. */
  spoil(how: 'lost' | 'old'): boolean {
    let isSpoilt = false;
    for (const row of this.#partitions.values()) {
      const unfinished = (how === 'old' ? row.unfinished[1] : undefined) ?? [];
      if (JSON.stringify(unfinished) === JSON.stringify(row.progress.unfinished)) continue;
      row.progress = { ...row.progress, unfinished };
      isSpoilt = true;
    }
    return isSpoilt;
  }

  /** Asks for everything from `offset` on to be read again. False: nothing of the partition was read before. */
  askReplay(partition: number, offset: number): boolean {
    const rows = [...this.#partitions.values()].filter((row) => row.partition === partition);
    for (const row of rows) {
      row.epoch += 1;
      row.replayFrom = offset;
    }
    return rows.some(({ progress }) => progress.readPosition > offset);
  }

  /** Where every partition of the log stands, by the last progress saved. */
  progress(): readonly Progress[] {
    return [...this.#partitions.values()].map(({ progress }) => progress);
  }

  progressOf(partition: number): Progress | undefined {
    return [...this.#partitions.values()].find((row) => row.partition === partition)?.progress;
  }

  personOf(identity: Identity): Person | undefined {
    const row = this.ids.get(identityKey(identity));
    return row && this.persons.get(row.person);
  }

  idsOf({ teamId, uuid }: Person): readonly Mapping[] {
    const prefix = `${teamId}:`;
    const mappings: Mapping[] = [];
    for (const [key, { person, version }] of this.ids) {
      if (person === uuid)
        mappings.push({ distinctId: key.slice(prefix.length) as Mapping['distinctId'], version });
    }
    return mappings;
  }

  /** A project's group types, in the order of their places. */
  typesOf(teamId: number): readonly GroupType[] {
    return [...this.#groupTypes.values()].filter((type) => type.teamId === teamId);
  }

  #row(key: PartitionKey): PartitionRow {
    const row = this.#partitions.get(partitionName(key));
    if (row === undefined) throw new Error(`partition ${partitionName(key)} was never taken`);
    return row;
  }

  #checkEpochs(partitions: readonly PartitionEpoch[]): void {
    for (const { key, epoch } of partitions) {
      if (this.#row(key).epoch !== epoch) {
        this.fenced += 1;
        throw new FencedError(`${partitionName(key)} has another owner`);
      }
    }
  }
}

/** The store as a process reaches it: `call` decides when a transaction happens, and what is heard of it. */
export function personStoreOf(
  store: SimStore,
  call: <Result>(name: string, transaction: () => Result) => Promise<Result>,
): PersonStore {
  return {
    acquire: (key, firstOffset) => call('acquire', () => store.acquire(key, firstOffset)),
    findByIds: (ids) => call('findByIds', () => store.findByIds(ids)),
    findRecorded: (persons, groups) => call('findRecorded', () => store.findRecorded(persons, groups)),
    groupTypes: (types) => call('groupTypes', () => store.groupTypes(types)),
    findGroups: (groups) => call('findGroups', () => store.findGroups(groups)),
    save: (partitions, works) => call('save', () => store.save(partitions, works)),
    saveProgress: (partitions) => call('saveProgress', () => store.saveProgress(partitions)),
  };
}

export const identityKey = ({ teamId, distinctId }: Identity): string => `${teamId}:${distinctId}`;

const partitionName = ({ logId, topic, partition }: PartitionKey): string => `${logId} ${topic} ${partition}`;

function newPartition(partition: number, firstOffset: number): PartitionRow {
  return {
    partition,
    epoch: 0,
    foldedBelow: firstOffset,
    folded: [],
    progress: { firstOffset, readPosition: firstOffset, unfinished: [], held: 0, inFlight: 0, fates: {} },
    replayFrom: undefined,
    unfinished: [[]],
  };
}

function rangesOf(offsets: readonly number[]): OffsetRange[] {
  const ranges: OffsetRange[] = [];
  for (const offset of offsets.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.to === offset - 1) ranges[ranges.length - 1] = { from: last.from, to: offset };
    else ranges.push({ from: offset, to: offset });
  }
  return ranges;
}
