/** What a former owner of a partition left, as far as it can be believed. */
import type { Acquired, Progress } from '../storage/person-store.ts';

/**
 * The progress. Where its list of unfinished offsets is not the one that was saved, everything that was not known to
 * be done counts as unfinished: more is replayed, and nothing is skipped. What of it had a fate already gets it again,
 * so as many fates are taken off the books, of rows first: which they were was only to be seen from the list.
 */
export function believedProgress({ foldedBelow, progress, isWhole }: Acquired): Progress {
  if (isWhole) return progress;
  const { firstOffset, readPosition } = progress;
  const below = Math.min(foldedBelow, readPosition);
  const unfinished = below < readPosition ? [{ from: below, to: readPosition - 1 }] : [];
  const fates = { ...progress.fates };
  const total = Object.values(fates).reduce((sum, count) => sum + count, 0);
  let excess = total - (below - firstOffset);
  for (const [fate, count] of Object.entries(fates).toSorted(([a], [b]) => rank(a) - rank(b))) {
    const taken = Math.max(0, Math.min(excess, count));
    fates[fate] = count - taken;
    excess -= taken;
  }
  return { ...progress, unfinished, held: 0, inFlight: readPosition - below, fates };
}

const rank = (fate: string): number => (fate === 'row' ? 0 : 1);
