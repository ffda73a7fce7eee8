/**
 * The port of persons and of the worker's progress. Everything that an offset changes is written in one transaction
 * with the note that the offset was folded, so that a replay never folds twice.
 */
import type { DistinctId, PersonUuid, TeamId } from '../event/ids.ts';
import type { Folded } from '../person/fold.ts';
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
}

/** Offsets folded by one save, with the persons that it wrote. */
export interface FoldedRange extends OffsetRange {
  readonly persons: readonly PersonUuid[];
}

export interface Acquired {
  readonly epoch: number;
  /** Nothing below it is folded again. */
  readonly foldedBelow: number;
  readonly folded: readonly FoldedRange[];
  readonly progress: Progress;
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

/** What a save is asked to write for one person, and what it may rely on. */
export interface PersonWork {
  readonly teamId: TeamId;
  readonly uuid: PersonUuid;
  /** The person as cached; `undefined`: believed not to exist. */
  readonly base: Person | undefined;
  /** Ids believed to have no person yet: they get this one, with a mapping of this version. */
  readonly newIds: readonly Mapping[];
  /** Ids believed to lead to this person. */
  readonly knownIds: readonly DistinctId[];
  /** False: nothing here hangs on the person's state; only the offsets are recorded. */
  readonly checked: boolean;
  /** The fold on `base`. */
  readonly folded: Folded;
  /** The same fold on the person as Postgres has it. */
  readonly refold: (base: Person) => Folded;
  readonly offsets: readonly { readonly partition: number; readonly offset: number }[];
}

export interface PartitionSave {
  readonly key: PartitionKey;
  readonly epoch: number;
  readonly progress: Progress;
}

/** What became of one `PersonWork`: written as `folded` says, or left out because a belief was wrong. */
export type Saved = { readonly kind: 'saved'; readonly folded: Folded } | { readonly kind: 'broken' };

/** Another owner has taken one of the partitions: nothing was written. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
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
  findPersons(uuids: readonly PersonUuid[]): Promise<readonly PersonWithIds[]>;
  /**
   * One transaction: locks, checks every belief, writes, records. The answer has one `Saved` for each work, in order.
   * Rejects with `FencedError`, `DataRefusedError`, or anything else when the outcome is unknown or Postgres is away.
   */
  save(partitions: readonly PartitionSave[], works: readonly PersonWork[]): Promise<readonly Saved[]>;
  /** Progress alone; `foldedBelow` rises and what is remembered below it goes. Rejects with `FencedError`. */
  saveProgress(partitions: readonly (PartitionSave & { readonly foldedBelow: number })[]): Promise<void>;
}
