/** What a former owner of a partition left, as far as it can be believed and is wanted. */
import type { Acquired, Progress } from '../storage/person-store.ts';

/**
 * The progress. Where its list of unfinished offsets is not the one that was saved, everything that was not known to
 * be done counts as unfinished: more is replayed, and nothing is skipped. So does everything from `replayFrom` on,
 * where that is asked for; records below `first` have left the log. What of it had a fate already gets it again,
 * so as many fates are taken off the books, of rows first: which they were is not known.
 */
export function believedProgress(
  { foldedBelow, progress, isWhole, replayFrom }: Acquired,
  first: number,
): Progress {
  if (isWhole && replayFrom === undefined) return progress;
  const { firstOffset, readPosition } = progress;
  const fates = { ...progress.fates };
  const total = Object.values(fates).reduce((sum, count) => sum + count, 0);
  const done = Math.min(foldedBelow, readPosition, Math.max(firstOffset, first, replayFrom ?? readPosition));
  // Fewer fates than that: a replay was under way, and which of its records had theirs again nobody knows.
  const isReplaying = total < done - firstOffset;
  const below = isReplaying ? Math.min(done, Math.max(firstOffset, first)) : done;
  const unfinished = below < readPosition ? [{ from: below, to: readPosition - 1 }] : [];
  let excess = total - (below - firstOffset);
  for (const [fate, count] of Object.entries(fates).toSorted(([a], [b]) => rank(a) - rank(b))) {
    const taken = Math.max(0, Math.min(excess, count));
    fates[fate] = count - taken;
    excess -= taken;
  }
  return { ...progress, unfinished, held: 0, inFlight: readPosition - below, fates };
}

const rank = (fate: string): number => (fate === 'row' ? 0 : 1);
