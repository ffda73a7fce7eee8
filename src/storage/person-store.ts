/**
 * The port of persons and of the worker's progress. Everything that an offset changes is written in one transaction
 * with the note that the offset was folded, so that a replay never folds twice.
 */
import type { DistinctId, PersonUuid, TeamId } from '../event/ids.ts';
import type { Folded } from '../person/fold.ts';
import type { Group, GroupChange, GroupId } from '../person/group.ts';
import type { Known } from '../person/known.ts';
import type { Person } from '../person/person.ts';
import type { TopicPartition } from './event-log.ts';

/** Offsets `from` to `to`, both included. */
export interface OffsetRange {
  readonly from: number;
  readonly to: number;
}

/** A partition of one log; a log made anew has another identity and begins with new progress. */
export interface PartitionKey extends TopicPartition {
  readonly logId: string;
}

/** Where a partition stands, as one consistent picture: `readPosition - firstOffset` = fates + held + in flight. */
export interface Progress {
  /** First offset ever known of this partition. */
  readonly firstOffset: number;
  /** Offset of the next record to read. */
  readonly readPosition: number;
  /** Offsets below `readPosition` that have no fate yet, rising. */
  readonly unfinished: readonly OffsetRange[];
  readonly held: number;
  readonly inFlight: number;
  /** How often each fate was met: `row`, `drop:<reason>`, `dead_letter:<reason>`. */
  readonly fates: Readonly<Record<string, number>>;
  /** A record that was read, by which a log that was made anew can be told. */
  readonly landmark?: Landmark;
}

export interface Landmark {
  readonly offset: number;
  /** Of its event; empty where it could not be read. */
  readonly uuid: string;
  /** The record's time, milliseconds since the epoch. */
  readonly recordedAtMs: number;
}

/** Offsets folded by one save, with the persons (merged away or not) and groups of their works. */
export interface FoldedRange extends OffsetRange {
  readonly persons: readonly PersonUuid[];
  readonly groups: readonly GroupId[];
}

export interface Acquired {
  readonly epoch: number;
  /** Nothing below it is folded again. */
  readonly foldedBelow: number;
  readonly folded: readonly FoldedRange[];
  readonly progress: Progress;
  /** False: its list of unfinished offsets is not the one that was saved. */
  readonly isWhole: boolean;
  /** Asked for: records from this offset on are to be read again. It is asked for until progress is saved. */
  readonly replayFrom?: number;
}

export interface Identity {
  readonly teamId: TeamId;
  readonly distinctId: DistinctId;
}

export interface Found extends Identity {
  readonly person: Person;
}

/** A person with the ids that lead to it, each with its mapping's version. */
export interface PersonWithIds {
  readonly person: Person;
  readonly ids: readonly Mapping[];
}

export interface Mapping {
  readonly distinctId: DistinctId;
  readonly version: number;
}

/** A person that a merge deleted. */
export interface DeletedPerson {
  readonly uuid: PersonUuid;
  readonly teamId: TeamId;
  readonly createdAtMs: number;
  /** Of the deletion. */
  readonly version: number;
}

/** Persons and groups that saves recorded, as they are now. */
export interface Recorded {
  readonly persons: readonly PersonWithIds[];
  readonly deleted: readonly DeletedPerson[];
  readonly groups: readonly Group[];
}

export interface GroupTypeId {
  readonly teamId: TeamId;
  readonly type: string;
}

/** `index`: 0 to 4; `undefined`: the project has five other types already. */
export interface GroupType extends GroupTypeId {
  readonly index: number | undefined;
}

/**
 * What a save is asked to write for persons that share events: one person as a rule, several where events may merge
 * them. `believed` is what the fold stands on: every person has to be there, and every id has to lead where it says.
 */
export interface PersonWork {
  readonly teamId: TeamId;
  readonly believed: Known;
  /** False: nothing here hangs on a person's state and nothing is written; only the offsets are recorded. */
  readonly checked: boolean;
  /** The fold on `believed`. */
  readonly folded: Folded;
  /**
   * The same fold on the persons as Postgres has them. `overfull`: persons with more ids than one merge may move; a
   * merge of one of them ends as a failed event.
   */
  readonly refold: (persons: ReadonlyMap<PersonUuid, Person>, overfull: ReadonlySet<PersonUuid>) => Folded;
  /** Where each event came from, in the order of the fold's outcomes. */
  readonly records: readonly WorkRecord[];
}

export interface WorkRecord extends RecordPosition {
  /** It was folded before. */
  readonly repeat: boolean;
  /** Rises with every event that is dispatched. */
  readonly order: number;
}

export interface RecordPosition {
  readonly partition: number;
  readonly offset: number;
}

/**
 * What a save notes as folded. A failed event changed nothing and is not among it: replayed, it has to fail again, or
 * its dead letter would be lost.
 */
export function foldedRecords({ records }: PersonWork, { outcomes }: Folded): readonly WorkRecord[] {
  return records.filter(({ repeat }, index) => !repeat && outcomes[index]?.kind !== 'failed');
}

/** A partition, and the epoch in which it is ours. */
export interface PartitionEpoch {
  readonly key: PartitionKey;
  readonly epoch: number;
}

export interface PartitionSave extends PartitionEpoch {
  readonly progress: Progress;
  /** Nothing below it has to be folded, or sent, again. */
  readonly foldedBelow: number;
}

/** An id that led to a person who was merged away. */
export interface MovedId {
  readonly distinctId: DistinctId;
  /** Where it leads now. */
  readonly person: PersonUuid;
  readonly version: number;
}

/** What became of one `PersonWork`: written as `folded` says, or left out because a belief was wrong. */
export type Saved =
  | {
      readonly kind: 'saved';
      readonly folded: Folded;
      readonly moved: readonly MovedId[];
      /** Groups that changed, after all changes of the save. */
      readonly groups: readonly Group[];
      /** Changes that were left out because the group would have become too large. */
      readonly oversized: readonly GroupChange[];
    }
  | { readonly kind: 'broken' };

/** Another owner has taken one of the partitions: nothing was written. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
}

/** The log has other records than those that were read of it: it was deleted and made again. */
export class LogReplacedError extends Error {
  override readonly name = 'LogReplacedError';
}

/** The data can never be written; nothing of the save was. */
export class DataRefusedError extends Error {
  override readonly name = 'DataRefusedError';
}

export interface PersonStore {
  /** Takes the partition: raises its epoch (which waits out a save in progress), then reads. */
  acquire(key: PartitionKey, firstOffset: number): Promise<Acquired>;
  /** The persons of these ids; an id without one is not in the answer. */
  findByIds(ids: readonly Identity[]): Promise<readonly Found[]>;
  /** What saves recorded of these persons and groups, as it is now. */
  findRecorded(persons: readonly PersonUuid[], groups: readonly GroupId[]): Promise<Recorded>;
  /** The group types' places; one without gets the next, once, whoever else asks at the same time. */
  groupTypes(types: readonly GroupTypeId[]): Promise<readonly GroupType[]>;
  /** The groups that are there. */
  findGroups(groups: readonly GroupId[]): Promise<readonly Group[]>;
  /**
   * One transaction: locks, checks every belief, writes, records. The answer has one `Saved` for each work, in order.
   * Rejects with `FencedError`, `DataRefusedError`, or anything else when the outcome is unknown or Postgres is away.
   */
  save(partitions: readonly PartitionEpoch[], works: readonly PersonWork[]): Promise<readonly Saved[]>;
  /** Progress alone; `foldedBelow` rises and what is remembered below it goes. Rejects with `FencedError`. */
  saveProgress(partitions: readonly PartitionSave[]): Promise<void>;
}
