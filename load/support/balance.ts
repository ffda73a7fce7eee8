/** The proof after a run: waits until nothing is on its way, and compares what k6 saw with the books and the tables. */
import type { Books } from '../../src/books.ts';
import { sleep, systemClock } from '../../src/clock.ts';
import type { LoadRun } from './answers.ts';
import { type Fates, fatesOf } from './fates.ts';
import type { Observed } from './proof.ts';

export interface Balance {
  readonly fates: Fates;
  readonly after: Books;
  /** Drops of the run, by reason; of all time where the books before it are not known. */
  readonly drops: Readonly<Record<string, number>>;
  /** Events that were answered 200 and are neither a row, nor a dead letter, nor dropped. */
  readonly lost: number;
  /** Whatever is not as it must be. */
  readonly problems: readonly string[];
  /** What could not be checked. */
  readonly notes: readonly string[];
}

/** How long to wait for others' events that do not concern this run. */
const OTHERS_MS = 20_000;
const POLL_MS = 1_000;

/** `isAlone`: nobody else sends events to this system. */
export async function balance(
  system: Observed,
  run: LoadRun,
  isAlone: boolean,
  settleMs: number,
): Promise<Balance> {
  const startedAt = systemClock.monotonic();
  for (;;) {
    const after = await system.books();
    const isQuiet = after.waiting + after.in_flight + after.held + after.spooled === 0;
    const judged = judge(run, after, await fatesOf(system, run), isAlone && isQuiet);
    const waitedMs = systemClock.monotonic() - startedAt;
    if (isQuiet && judged.problems.length === 0) return judged;
    if (!isAlone && judged.problems.length === 0 && waitedMs > OTHERS_MS) {
      const note = "events of others are on their way: the books' sums were not compared";
      return { ...judged, notes: [...judged.notes, note] };
    }
    if (waitedMs > settleMs) {
      const unsettled = isQuiet ? [] : [`events are still on their way after ${settleMs / 1_000} s`];
      return { ...judged, problems: [...judged.problems, ...unsettled] };
    }
    await sleep(systemClock, POLL_MS);
  }
}

/** `sumsMatter`: whatever is in the books since `before` is of this run. */
export function judge(run: LoadRun, after: Books, fates: Fates, sumsMatter: boolean): Balance {
  const { before, answers } = run;
  const drops = difference(after.dropped, before?.dropped);
  const letters = sum(difference(after.dead_lettered, before?.dead_lettered));
  const lettersOfDoor = sum(difference(after.door.dead_lettered, before?.door.dead_lettered));
  // A duplicate has its row: it is dropped for another event of its uuid.
  const dropped = sum(drops) - (drops['duplicate'] ?? 0);
  const lost = Math.max(0, fates.neither - dropped);
  const problems = [...fates.problems];
  if (lost > 0) {
    problems.push(
      `${lost} events were answered 200 and are neither a row, nor a dead letter, nor dropped: ${fates.missing.join(', ')} …`,
    );
  }
  if (after.imbalance !== 0) problems.push(`the books have an imbalance of ${after.imbalance}`);
  if (sumsMatter && before !== undefined) {
    const rows = after.rows - before.rows;
    const taken = after.acknowledged - before.acknowledged;
    if (rows !== fates.rowsInAll)
      problems.push(`the books have ${rows} more rows, the tables ${fates.rowsInAll}`);
    if (letters + lettersOfDoor !== fates.deadLettersInAll) {
      problems.push(
        `the books have ${letters + lettersOfDoor} more dead letters, the tables ${fates.deadLettersInAll}`,
      );
    }
    if (taken + lettersOfDoor < answers.acknowledged) {
      problems.push(
        `${answers.acknowledged} events were answered 200, the books have ${taken + lettersOfDoor}`,
      );
    }
    if (taken !== rows + letters + sum(drops)) {
      problems.push(`the books have ${taken} more events, and ${rows + letters + sum(drops)} fates`);
    }
  }
  const notes =
    before === undefined ? ['the books before the run are not known: all drops of all time count'] : [];
  return { fates, after, drops, lost, problems, notes };
}

type Counts = Readonly<Record<string, number>>;

/** Without zeros. */
export function difference(after: Counts, before: Counts = {}): Counts {
  const entries = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, count]) => count !== 0));
}

export const sum = (counts: Counts): number => Object.values(counts).reduce((all, count) => all + count, 0);
