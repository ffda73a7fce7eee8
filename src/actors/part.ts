/** What a session has of a partition that it has taken. */
import type { Assignment } from '../storage/event-log.ts';
import type { PartitionEpoch } from '../storage/person-store.ts';
import type { Committer } from './committer.ts';
import type { Lane } from './lane.ts';
import type { Ledger } from './ledger.ts';
import type { Unsent } from './unsent.ts';

export interface Part {
  readonly assignment: Assignment;
  readonly logId: string;
  readonly epoch: number;
  readonly ledger: Ledger;
  readonly lane: Lane;
  readonly committer: Committer;
  readonly unsent: Unsent;
}

export function epochOf({ assignment, logId, epoch }: Part): PartitionEpoch {
  const { topic, partition } = assignment;
  return { key: { logId, topic, partition }, epoch };
}
