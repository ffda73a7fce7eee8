/** Every record has one fate, and the books say so. */
import { sourceOf } from './follow.ts';
import { dropReason, otherIdOf } from './oracle.ts';
import type { Outputs } from './outputs.ts';
import { IDS_MAX } from './plan.ts';
import type { Ran, SentRecord } from './run.ts';

export function checkFates(ran: Ran, outputs: Outputs): string[] {
  const { world, records } = ran;
  const failures: string[] = [];
  const books: Record<string, number> = {};
  for (const { readPosition, firstOffset, held, inFlight, fates } of world.store.progress()) {
    let settled = 0;
    for (const [fate, count] of Object.entries(fates)) {
      settled += count;
      books[fate] = (books[fate] ?? 0) + count;
    }
    const imbalance = readPosition - firstOffset - settled - held - inFlight;
    if (imbalance !== 0) failures.push(`the books of a partition are ${imbalance} out of balance`);
  }

  const rows = new Set(outputs.rows.map(({ source }) => source));
  const deadLetters = new Map(outputs.deadLetters.map(({ source, error }) => [source, error]));
  const counts: Record<string, number> = {};
  const seen = new Set<string>();
  /** Repeats with a row. */
  let shown = 0;
  /** With a row and a dead letter. */
  let both = 0;
  for (const record of records) {
    const source = sourceOf(record);
    const isRepeat = seen.has(record.event.uuid);
    if (record.event.fault === 'none') seen.add(record.event.uuid);
    if (isRepeat && rows.has(source)) shown += 1;
    const found = [
      ...(rows.has(source) ? ['row'] : []),
      ...(deadLetters.has(source) ? [`dead_letter:${deadLetters.get(source)}`] : []),
    ];
    const expected = expectedFate(record, isRepeat && !found.includes('row'), found, ran.plan.mergeIdsMax);
    // It was replayed, and small enough by then.
    if (found.includes(TOO_LARGE) && expected === 'row' && found.length > 1) {
      both += 1;
      found.pop();
    }
    if (found.length === 0 && expected.startsWith('drop:')) found.push(expected);
    if (found.length !== 1 || found[0] !== expected) {
      failures.push(`${source} should end as ${expected}, and has ${found.join(' and ') || 'nothing'}`);
    }
    for (const fate of found) counts[fate] = (counts[fate] ?? 0) + 1;
  }
  // Which fates the replayed records had is not known any more; that there are as many as records was seen above.
  if (!ran.settled || ran.spoilt + ran.replays > 0) return failures;
  const moveRows = (fate: string, countMax: number): void => {
    const more = (books[fate] ?? 0) - (counts[fate] ?? 0);
    if (more <= 0 || more > countMax) return;
    counts[fate] = (counts[fate] ?? 0) + more;
    counts['row'] = (counts['row'] ?? 0) - more;
  };
  // Who has just begun gives a repeat a row, while a former owner that saw the first one, or the next owner, drops it.
  const undecided = ran.plan.incidents.length > 0 ? shown : 0;
  moveRows(DUPLICATE, undecided);
  // It had a row from a merge that a failover has lost, and the merge was too large when it was done again.
  moveRows(TOO_LARGE, ran.plan.canLose ? both : 0);
  for (const fate of new Set([...Object.keys(books), ...Object.keys(counts)])) {
    const [booked = 0, counted = 0] = [books[fate], counts[fate]];
    if (booked !== counted) failures.push(`the books count ${booked} × ${fate}, there are ${counted}`);
  }
  return failures;
}

/** `isRepeat`: it came before. A process that has just begun does not know. */
function expectedFate(
  { event }: SentRecord,
  isRepeat: boolean,
  found: readonly string[],
  mergeIdsMax: number,
): string {
  if (event.fault === 'malformed') return 'dead_letter:malformed_record';
  if (event.fault === 'unknown_token') return 'drop:unknown_token';
  const own = dropReason(event);
  if (own !== undefined) return `drop:${own}`;
  if (
    found.includes(TOO_LARGE) &&
    found.length === 1 &&
    otherIdOf(event) !== undefined &&
    mergeIdsMax < IDS_MAX
  )
    return TOO_LARGE;
  return isRepeat ? DUPLICATE : 'row';
}

const DUPLICATE = 'drop:duplicate';
const TOO_LARGE = 'dead_letter:merge_too_large';
