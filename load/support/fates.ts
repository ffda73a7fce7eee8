/** What became of the events of a run, read from ClickHouse: every uuid that was answered 200 is looked for. */
import type { Answers, LoadRun } from './answers.ts';
import type { Observed } from './proof.ts';

export interface Fates {
  /** Events that were answered 200: as rows, as dead letters without a row, and neither. */
  readonly rows: number;
  readonly deadLetters: number;
  readonly neither: number;
  /** Events in the tables that had no answer: nobody promised anything. */
  readonly unanswered: number;
  /** Of all events of the run in the tables. */
  readonly rowsInAll: number;
  readonly deadLettersInAll: number;
  /** A few uuids of `neither`. */
  readonly missing: readonly string[];
  readonly problems: readonly string[];
}

/** Fewer than a query of the console may answer. */
const NUMBERS_PER_QUERY = 50_000;
const EXAMPLES_MAX = 3;
const MAX_NUMBER = 2 ** 48;

/** Columns `place`, `step` and `number` of the uuids that begin as the run's do. `column`: the uuid. */
export function ofRun(id: string, table: string, column: string, more = ''): string {
  return `SELECT toString(${column}) AS text, substring(text, 16, 3) AS place,
      reinterpretAsUInt16(reverse(unhex(concat('0', substring(text, 21, 3))))) AS step,
      reinterpretAsUInt64(reverse(unhex(concat('0000', substring(text, 25, 12))))) AS number${more}
    FROM ${table} WHERE startsWith(toString(${column}), '${id.slice(0, 8)}-${id.slice(8)}-8')`;
}

interface Found {
  readonly number: number;
  /** Different events that have a row; rows; dead letters without a row. */
  readonly events: number;
  readonly rows: number;
  readonly letters: number;
}

/** Looks at every step of `answers`; `id` is the run's. */
export async function fatesOf(system: Observed, run: Pick<LoadRun, 'id' | 'answers'>): Promise<Fates> {
  const sums = { rows: 0, deadLetters: 0, unanswered: 0, rowsInAll: 0, deadLettersInAll: 0 };
  const lists = {
    missing: [] as string[],
    refused: [] as string[],
    tooMany: [] as string[],
    again: [] as string[],
  };
  const { answers } = run;
  for (const step of answers.steps) {
    for (let from = 0; from < answers.below(step); from += NUMBERS_PER_QUERY) {
      const isLast = from + NUMBERS_PER_QUERY >= answers.below(step);
      const to = isLast ? MAX_NUMBER : from + NUMBERS_PER_QUERY;
      const page = await readPage(system, run.id, step, from, to);
      for (const [number, found] of page) {
        const acknowledged = answers.acknowledgedOf(step, number);
        const known = found.events + found.letters;
        const name = firstUuid(run.id, step, number);
        sums.rowsInAll += found.events;
        sums.deadLettersInAll += found.letters;
        if (found.rows > found.events) lists.again.push(name);
        if (answers.isRefused(step, number)) lists.refused.push(name);
        else if (acknowledged === 0) sums.unanswered += known;
        else if (known > acknowledged) lists.tooMany.push(name);
        else {
          sums.rows += found.events;
          sums.deadLetters += found.letters;
        }
      }
      noteMissing(
        answers,
        { id: run.id, step, from, to: Math.min(to, answers.below(step)) },
        page,
        lists.missing,
      );
    }
  }
  return {
    ...sums,
    neither: answers.acknowledged - sums.rows - sums.deadLetters,
    missing: lists.missing,
    problems: [
      ...said(lists.again, 'requests have an event with more than one row after FINAL'),
      ...said(lists.refused, 'requests were refused, and are in the tables all the same'),
      ...said(lists.tooMany, 'requests have more events in the tables than were sent'),
    ],
  };
}

async function readPage(
  system: Observed,
  id: string,
  step: number,
  from: number,
  to: number,
): Promise<ReadonlyMap<number, Found>> {
  const rows = await system.query(`
    SELECT number, uniqExactIf(place, kind = 0) AS events, countIf(kind = 0) AS rows,
      uniqExact(place) - events AS letters
    FROM (
      ${ofRun(id, 'events FINAL', 'uuid', ', 0 AS kind')}
      UNION ALL
      ${ofRun(id, 'events_dead_letter_queue FINAL', 'event_uuid', ', 1 AS kind')}
    )
    WHERE step = ${step} AND number >= ${from} AND number < ${to}
    GROUP BY number`);
  return new Map(
    rows.map((row) => [
      Number(row['number']),
      {
        number: Number(row['number']),
        events: Number(row['events']),
        rows: Number(row['rows']),
        letters: Number(row['letters']),
      },
    ]),
  );
}

interface Page {
  readonly id: string;
  readonly step: number;
  readonly from: number;
  readonly to: number;
}

function noteMissing(
  answers: Answers,
  { id, step, from, to }: Page,
  page: ReadonlyMap<number, Found>,
  missing: string[],
): void {
  for (let number = from; number < to && missing.length < EXAMPLES_MAX; number++) {
    const found = page.get(number);
    const known = (found?.events ?? 0) + (found?.letters ?? 0);
    if (known < answers.acknowledgedOf(step, number)) missing.push(firstUuid(id, step, number));
  }
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** Of the request's first event. */
const firstUuid = (id: string, step: number, number: number): string =>
  `${id.slice(0, 8)}-${id.slice(8)}-8000-8${hex(step, 3)}-${hex(number, 12)}`;

const said = (found: readonly string[], what: string): string[] =>
  found.length === 0 ? [] : [`${found.length} ${what}: ${found.slice(0, EXAMPLES_MAX).join(', ')} …`];
