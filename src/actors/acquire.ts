/** Takes a partition: raises its epoch, then looks where its former owner left it, and whether the log is the same. */
import type { Logger } from '../logger.ts';
import type { Assignment, EventLog, PartitionOffsets } from '../storage/event-log.ts';
import { type FoldedRange, LogReplacedError, type PersonStore } from '../storage/person-store.ts';
import type { LaneOptions } from './lane.ts';
import { Ledger } from './ledger.ts';
import { believedProgress } from './past.ts';

export interface Acquisition {
  readonly logId: string;
  readonly epoch: number;
  readonly ledger: Ledger;
  /** What the lane has to know of the former owner. */
  readonly past: Pick<LaneOptions, 'foldedBelow' | 'folded' | 'landmark' | 'takenAt'>;
  /** Saves of records that have left the log: nobody will ask for what they wrote, and it may not have been sent. */
  readonly unsent: readonly FoldedRange[];
  /** Where to read on. */
  readonly start: number;
}

export interface AcquireOptions {
  readonly log: Pick<EventLog, 'identity' | 'offsets'>;
  readonly store: Pick<PersonStore, 'acquire'>;
  readonly logger: Logger;
}

/**
 * `isOver`: whether the partition is not ours any more; then its epoch is left alone, which is its new owner's, and the
 * answer is `undefined`. Rejects with `LogReplacedError` where the log ends before what was read of it.
 */
export async function acquire(
  { log, store, logger }: AcquireOptions,
  { topic, partition }: Assignment,
  isOver: () => boolean,
): Promise<Acquisition | undefined> {
  const logId = log.identity();
  const { first } = boundsOf(await log.offsets(topic), partition);
  if (isOver()) return undefined;
  const acquired = await store.acquire({ logId, topic, partition }, first);
  const { epoch, foldedBelow, folded } = acquired;
  const progress = believedProgress(acquired, first);
  if (acquired.replayFrom !== undefined) {
    logger.info({ partition, from: acquired.replayFrom }, 'records are read again, as was asked for');
  }
  if (!acquired.isWhole) {
    const { inFlight: replayed } = progress;
    logger.error({ partition, replayed }, 'the list of unfinished records was changed: all that may be are');
  }
  // Only now: what came while the epoch was raised may have been read, and sent, by the former owner.
  const { end } = boundsOf(await log.offsets(topic), partition);
  const { landmark, readPosition } = progress;
  if (end < readPosition) {
    throw new LogReplacedError(`partition ${partition} ends at ${end}, but was read up to ${readPosition}`);
  }
  const ledger = new Ledger(progress);
  const lost = ledger.lose(first);
  if (lost > 0) logger.error({ partition, lost, first }, 'records left the log before they had a row');
  const unsent = lost > 0 ? folded.filter(({ from }) => from < first) : [];
  // The landmark is read again, to see that it is still there.
  const hasLandmark = landmark !== undefined && landmark.offset >= first;
  const start = hasLandmark ? Math.min(ledger.lowEnd, landmark.offset) : ledger.lowEnd;
  ledger.expect(start);
  logger.debug({ partition, epoch, start }, 'partition taken');
  return { logId, epoch, ledger, past: { foldedBelow, folded, landmark, takenAt: end }, unsent, start };
}

function boundsOf(offsets: readonly PartitionOffsets[], partition: number) {
  return offsets.find((one) => one.partition === partition) ?? { first: 0, end: 0 };
}
