/** Sets of offsets as ranges. */
import type { OffsetRange } from './person-store.ts';

/** Rising offsets as ranges. */
export function toRanges(offsets: Iterable<number>): OffsetRange[] {
  const ranges: { from: number; to: number }[] = [];
  let last: { from: number; to: number } | undefined;
  for (const offset of offsets) {
    if (last && offset === last.to + 1) last.to = offset;
    else {
      last = { from: offset, to: offset };
      ranges.push(last);
    }
  }
  return ranges;
}

export function inRanges(ranges: readonly OffsetRange[], offset: number): boolean {
  return rangeAt(ranges, offset) !== undefined;
}

/** The one of the ranges, which rise and do not overlap, that has the offset. */
export function rangeAt<Range extends OffsetRange>(
  ranges: readonly Range[],
  offset: number,
): Range | undefined {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (range === undefined || offset < range.from) high = middle - 1;
    else if (offset > range.to) low = middle + 1;
    else return range;
  }
  return undefined;
}
