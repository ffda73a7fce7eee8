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
  readonly offsets: readonly WitnessedOffset[];
  readonly persons: readonly Person[];
}

export interface WitnessedOffset extends RecordPosition {
  /** False: nobody asked whether the person was there, since nothing of it changed. */
  readonly checked: boolean;
}

export interface MappingRow {
  readonly person: PersonUuid;
  readonly version: number;
}

interface PartitionRow {
  readonly partition: number;
  readonly epoch: number;
  readonly foldedBelow: number;
  readonly folded: readonly FoldedRange[];
  readonly progress: Progress;
  readonly replayFrom: number | undefined;
  /** The list that was saved last, and the one before. */
  readonly unfinished: readonly (readonly OffsetRange[])[];
}

const GROUP_TYPES_MAX = 5;
/** As many transactions can be lost. */
const SNAPSHOTS_MAX = 3;

interface Snapshot {
  readonly tables: readonly ReadonlyMap<unknown, unknown>[];
  readonly witnessed: number;
}

export interface SimStoreOptions {
  /** Distinct ids that one merge may move. */
  readonly mergeIdsMax?: number;
  /** Transactions can be lost, after they were committed. */
  readonly canLose?: boolean;
}

/** The tables. */
export class SimStore {
  readonly persons = new Map<PersonUuid, Person>();
  /** By `identityKey`. */
  readonly ids = new Map<string, MappingRow>();
  readonly deleted = new Map<PersonUuid, DeletedPerson>();
  /** Into whom each person was merged. */
  readonly merged = new Map<PersonUuid, PersonUuid>();
  /** By `groupKey`. */
  readonly groups = new Map<string, Group>();
  readonly witness: Witnessed[] = [];
  /** Saves and progress that came from a former owner. */
  fenced = 0;
  /** Works that stood on something that was no longer so. */
  broken = 0;
  /** A group type was allotted by a transaction that is lost. */
  hasLostTypes = false;
  /** A person has a version that it had before, in a save that is lost. */
  hasVersionsAgain = false;
  /** By uuid and version. */
  readonly #lostPersons = new Set<string>();
  readonly #groupTypes = new Map<string, GroupType>();
  readonly #partitions = new Map<string, PartitionRow>();
  /** Like a time: no failover takes it back. */
  #lastEpoch = 0;
  readonly #nowMs: () => number;
  readonly #mergeIdsMax: number;
  readonly #canLose: boolean;
  /** Before each of the last transactions, the newest first. */
  #snapshots: readonly Snapshot[] = [];

  constructor(nowMs: () => number, { mergeIdsMax, canLose }: SimStoreOptions = {}) {
    this.#nowMs = nowMs;
    this.#mergeIdsMax = mergeIdsMax ?? Number.POSITIVE_INFINITY;
    this.#canLose = canLose ?? false;
  }

  /** Raises the epoch, and tells where the partition stands. */
  take(key: PartitionKey, firstOffset: number): Omit<Acquired, 'folded'> {
    this.#begin();
    const row = this.#partitions.get(partitionName(key)) ?? newPartition(key.partition, firstOffset);
    const epoch = ++this.#lastEpoch;
    this.#partitions.set(partitionName(key), { ...row, epoch });
    const { foldedBelow, progress } = row;
    const isWhole = JSON.stringify(progress.unfinished) === JSON.stringify(row.unfinished[0]);
    const asked = row.replayFrom === undefined ? {} : { replayFrom: row.replayFrom };
    return { epoch, foldedBelow, progress, isWhole, ...asked };
  }

  foldedOf(key: PartitionKey): readonly FoldedRange[] {
    return this.#partitions.get(partitionName(key))?.folded ?? [];
  }

  /** The last transactions, so many of them, are lost. Gives how many of those were saves that folded something. */
  lose(transactions: number): number {
    const snapshot = this.#snapshots[Math.min(transactions, this.#snapshots.length) - 1];
    if (snapshot === undefined) return 0;
    const types = this.#groupTypes.size;
    this.#tables.forEach((table, index) => {
      table.clear();
      for (const [key, row] of snapshot.tables[index] ?? []) table.set(key, row);
    });
    this.#snapshots = [];
    this.hasLostTypes ||= this.#groupTypes.size < types;
    const lost = this.witness.splice(snapshot.witnessed);
    for (const { persons } of lost) for (const person of persons) this.#lostPersons.add(versionName(person));
    return lost.length;
  }

  get #tables(): readonly Map<unknown, unknown>[] {
    const { persons, ids, deleted, merged, groups } = this;
    return [persons, ids, deleted, merged, groups, this.#groupTypes, this.#partitions];
  }

  /** A transaction that may be lost begins. */
  #begin(): void {
    if (!this.#canLose) return;
    const snapshot = { tables: this.#tables.map((table) => new Map(table)), witnessed: this.witness.length };
    this.#snapshots = [snapshot, ...this.#snapshots].slice(0, SNAPSHOTS_MAX);
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
    this.#begin();
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
      this.hasVersionsAgain ||= one.folded.written.some((person) =>
        this.#lostPersons.has(versionName(person)),
      );
    });
    const offsets = [...folded]
      .flatMap(([{ checked }, records]) => records.map((record) => ({ ...record, checked })))
      .toSorted((a, b) => a.order - b.order);
    if (offsets.length > 0) this.witness.push({ atMs: this.#nowMs(), offsets, persons });
    for (const { key } of partitions) {
      const ranges: FoldedRange[] = [];
      for (const [work, what] of recorded) {
        const own = (folded.get(work) ?? []).filter(({ partition }) => partition === key.partition);
        for (const range of rangesOf(own.map(({ offset }) => offset))) ranges.push({ ...range, ...what });
      }
      if (ranges.length === 0) continue;
      const row = this.#row(key);
      this.#keep(key, { ...row, folded: [...row.folded, ...ranges].toSorted((a, b) => a.from - b.from) });
    }
    return saved;
  }

  saveProgress(partitions: readonly PartitionSave[]): void {
    this.#checkEpochs(partitions);
    this.#begin();
    for (const { key, progress, foldedBelow } of partitions) {
      const row = this.#row(key);
      const below = Math.max(row.foldedBelow, foldedBelow);
      this.#keep(key, {
        ...row,
        progress,
        replayFrom: undefined,
        unfinished: [progress.unfinished, ...row.unfinished.slice(0, 1)],
        foldedBelow: below,
        folded: row.folded.filter(({ to }) => to >= below),
      });
    }
  }

  /** Every list of unfinished offsets is lost, or becomes the one before it. Gives whether that made a difference. */
  spoil(how: 'lost' | 'old'): boolean {
    let isSpoilt = false;
    for (const [name, row] of this.#partitions) {
      const unfinished = (how === 'old' ? row.unfinished[1] : undefined) ?? [];
      if (JSON.stringify(unfinished) === JSON.stringify(row.progress.unfinished)) continue;
      this.#partitions.set(name, { ...row, progress: { ...row.progress, unfinished } });
      isSpoilt = true;
    }
    return isSpoilt;
  }

  /** Asks for everything from `offset` on to be read again. False: nothing of the partition was read before. */
  askReplay(partition: number, offset: number): boolean {
    const rows = [...this.#partitions].filter(([, row]) => row.partition === partition);
    for (const [name, row] of rows) {
      this.#partitions.set(name, { ...row, epoch: ++this.#lastEpoch, replayFrom: offset });
    }
    return rows.some(([, { progress }]) => progress.readPosition > offset);
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

  #keep(key: PartitionKey, row: PartitionRow): void {
    this.#partitions.set(partitionName(key), row);
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

/** How a process reaches the store: when a transaction happens, and what is heard of it. */
export interface StoreCalls {
  readonly read: Call;
  readonly write: Call;
  /** Runs a save. */
  readonly onSave: (works: readonly PersonWork[], save: () => readonly Saved[]) => readonly Saved[];
}
type Call = <Result>(name: string, transaction: () => Result) => Promise<Result>;

export function personStoreOf(store: SimStore, { read, write, onSave }: StoreCalls): PersonStore {
  return {
    acquire: async (key, firstOffset) => {
      const taken = await write('acquire', () => store.take(key, firstOffset));
      return { ...taken, folded: await read('foldedOf', () => store.foldedOf(key)) };
    },
    findByIds: (ids) => read('findByIds', () => store.findByIds(ids)),
    findRecorded: (persons, groups) => read('findRecorded', () => store.findRecorded(persons, groups)),
    groupTypes: (types) => write('groupTypes', () => store.groupTypes(types)),
    findGroups: (groups) => read('findGroups', () => store.findGroups(groups)),
    save: (partitions, works) => write('save', () => onSave(works, () => store.save(partitions, works))),
    saveProgress: (partitions) => write('saveProgress', () => store.saveProgress(partitions)),
  };
}

export const identityKey = ({ teamId, distinctId }: Identity): string => `${teamId}:${distinctId}`;

const partitionName = ({ logId, topic, partition }: PartitionKey): string => `${logId} ${topic} ${partition}`;

const versionName = ({ uuid, version }: Person): string => `${uuid} ${version}`;

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
