/** What a run came to, as a table for people and as one row for programs. */
import { type Paint, type Row, table } from '../../src/cli/terminal.ts';
import type { Summary } from '../k6/lib.ts';
import type { LoadRun } from './answers.ts';
import { type Balance, difference, sum } from './balance.ts';
import type { SignupPersons, Waits } from './load-facts.ts';

export interface LoadResult {
  readonly run: LoadRun;
  readonly balanced: Balance;
  /** Of `signup`. */
  readonly persons: SignupPersons | undefined;
  readonly waits: readonly Waits[];
  /** k6's; not known where it ran on another machine. */
  readonly summary: Summary | undefined;
  readonly problems: readonly string[];
}

export function resultRow({ run, balanced, persons, waits, summary, problems }: LoadResult): Row {
  const { fates, after, drops, lost, notes } = balanced;
  const { problems: _, missing, ...counts } = fates;
  return {
    script: run.script,
    run: run.id,
    requests: Object.fromEntries(run.answers.requests),
    ...(summary === undefined ? {} : { answered_ms: summary.metrics['answered_ms']?.values }),
    acknowledged: run.answers.acknowledged,
    ...counts,
    lost,
    drops,
    ...(persons === undefined ? {} : { persons }),
    waits,
    before: run.before,
    after,
    missing,
    notes,
    problems,
  };
}

export function resultText(result: LoadResult, paint: Paint): string {
  const rows = facts(result).map(([what, value]) => ({
    [result.run.script]: what,
    [`run ${result.run.id}`]: value,
  }));
  const lines = [
    ...result.balanced.notes.map((note) => `${paint('yellow', 'NOTE')}    ${note}`),
    ...result.problems.map((problem) => `${paint('red', 'PROBLEM')} ${problem}`),
    ...(result.problems.length === 0
      ? [paint('green', 'Every event that was answered 200 is a row, a dead letter or a drop.')]
      : []),
  ];
  return `\n${table(rows, paint)}\n${lines.join('\n')}`;
}

type Fact = readonly [what: string, value: string];

function facts({ run, balanced, persons, waits, summary }: LoadResult): Fact[] {
  const { answers } = run;
  const { fates, drops, lost } = balanced;
  const requests = [...answers.requests.values()].reduce((all, count) => all + count, 0);
  const seconds = (summary?.state.testRunDurationMs ?? 0) / 1_000;
  const rate = seconds > 0 ? ` in ${seconds.toFixed(1)} s, ${Math.round(requests / seconds)}/s` : '';
  const skipped = summary?.metrics['dropped_iterations']?.values?.['count'] ?? 0;
  return [
    ['requests with events', `${count(requests)}${rate}`],
    ...(skipped > 0 ? [['k6 was too busy for', `${count(skipped)} iterations`] as const] : []),
    ...[...answers.requests]
      .sort(([a], [b]) => a - b)
      .map(([status, of]): Fact => [status === 0 ? '  no answer' : `  answered ${status}`, count(of)]),
    ...latency(summary),
    ['events answered 200', count(answers.acknowledged)],
    ['  rows', count(fates.rows)],
    ['  dead letters', count(fates.deadLetters)],
    ['  dropped', dropText(answers.acknowledged - fates.rows - fates.deadLetters - lost, drops)],
    ['  lost', count(lost)],
    ['without a 200, yet in the tables', count(fates.unanswered)],
    ...waits.map(
      ({ event, p50Ms, p99Ms, maxMs }): Fact => [
        `row there: ${event}`,
        `p50 ${p50Ms} ms, p99 ${p99Ms} ms, max ${maxMs} ms`,
      ],
    ),
    ...(persons === undefined
      ? []
      : [
          ['sign-ups', count(persons.signups)] as const,
          [
            'persons',
            `${count(persons.persons)} (${persons.extra} extra, ${persons.split} to be merged)`,
          ] as const,
        ]),
    ...books(run, balanced),
  ];
}

function books({ before }: LoadRun, { after }: Balance): Fact[] {
  const line = (name: string, read: (of: typeof after) => number): Fact => [
    `books: ${name}`,
    before === undefined ? count(read(after)) : `${count(read(before))} -> ${count(read(after))}`,
  ];
  const refused = difference(after.door.refused, before?.door.refused);
  return [
    line('acknowledged', (of) => of.acknowledged),
    line('rows', (of) => of.rows),
    line('dead letters', (of) => sum(of.dead_lettered) + sum(of.door.dead_lettered)),
    line('dropped', (of) => sum(of.dropped)),
    line('waiting, held, in flight', (of) => of.waiting + of.held + of.in_flight),
    line('imbalance', (of) => of.imbalance),
    ...Object.entries(refused).map(([reason, of]): Fact => [`refused: ${reason}`, count(of)]),
  ];
}

function latency(summary: Summary | undefined): Fact[] {
  const values = summary?.metrics['answered_ms']?.values;
  if (values === undefined) return [];
  const ms = (name: string): string => `${(values[name] ?? 0).toFixed(1)} ms`;
  return [['  answered 200 after', `p50 ${ms('med')}, p99 ${ms('p(99)')}, max ${ms('max')}`]];
}

const dropText = (dropped: number, drops: Readonly<Record<string, number>>): string =>
  dropped === 0 ? '0' : `${count(dropped)} (${reasons(drops)})`;

const reasons = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([reason, of]) => `${reason} ${count(of)}`)
    .join(', ');

const count = (value: number): string => value.toLocaleString('en');
