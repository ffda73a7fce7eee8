/** What torture prints: a line for each kill while it runs, and the table of gaps in the end. */
import { paintFor, table } from '../../src/cli/terminal.ts';
import { FAULTS } from './kafka-torture-faults.ts';
import type { KafkaTortureResult } from './kafka-torture-result.ts';
import type { Fates } from './torture-follow.ts';
import { GAPS } from './torture-gaps.ts';
import type { GapCount, Kill, TortureResult } from './torture-result.ts';

/** The kill, what it hit, and how often each gap has been hit by now. */
export function killLine(
  { kill, aim, hits, acknowledged, atMinutes }: Kill,
  counts: readonly GapCount[],
): string {
  const paint = paintFor(process.stderr);
  const isHit = aim === 'start' || hits[aim] !== undefined;
  const found = Object.entries(hits).map(([gap, count]) => `${gap} ${count}`);
  const soFar = counts.map(({ hit }) => hit).join(' ');
  return [
    paint('bold', `kill ${kill}`.padEnd(9)),
    paint(isHit ? 'green' : 'yellow', aim.padEnd(20)),
    `hit ${found.length === 0 ? 'nothing' : found.join(', ')}`,
    paint('dim', `(${atMinutes.toFixed(1)} min, ${acknowledged} acknowledged, hits so far ${soFar})`),
  ].join(' ');
}

type Facts = readonly (readonly [name: string, value: string | number])[];

export function printResult(seed: number, result: TortureResult): void {
  const paint = paintFor(process.stdout);
  const gaps = result.gaps.map((one) => ({ ...one, 'what says so': GAPS[one.gap] }));
  process.stdout.write(`\n${table(gaps, paint)}\n`);
  const { fates, books } = result;
  printFacts([
    ['seed', seed],
    ['kills', result.kills.length],
    ['answered 200', result.acknowledged],
    ...fateFacts(fates, result.rowsRepeated),
    ['persons', result.persons],
    ['memory', `at most ${result.rssMaxMib} MiB resident in one life`],
    ['books', JSON.stringify(books)],
  ]);
  printEnd(result);
}

export function printKafkaResult(seed: number, result: KafkaTortureResult): void {
  const paint = paintFor(process.stdout);
  const sum = (key: 'done' | 'hit') => result.faults.reduce((total, one) => total + one[key], 0);
  const faults = result.faults.map((one) => ({ ...one, 'what says so': FAULTS[one.fault] }));
  process.stdout.write(`\n${table(faults, paint)}\n`);
  printFacts([
    ['seed', seed],
    ['faults', `${sum('done')} in ${result.rounds} rounds, of which ${sum('hit')} hit`],
    ['answered 200', result.acknowledged],
    ['at one instant', JSON.stringify(result.meetings)],
    ...fateFacts(result.fates, result.rowsRepeated),
    ['saves', result.saves],
    ['persons', result.persons],
    ['books', JSON.stringify(result.books)],
  ]);
  for (const [why, times] of Object.entries(result.troubles))
    process.stdout.write(`${paint('dim', 'a worker said'.padEnd(16))}${times} times ${why}\n`);
  printEnd(result);
}

function fateFacts(fates: Fates, rowsRepeated: number): Facts {
  return [
    ['in the log', `${fates.records} records`],
    [
      'of which became',
      `${fates.rows} rows, ${fates.deadLetters} dead letters, dropped ${JSON.stringify(fates.dropped)}`,
    ],
    ['uuids again', `${fates.repeated} records, of which ${fates.repeatedRows} became rows once more`],
    ['rows again', `${fates.sentAgain} sent by replays, ${rowsRepeated} not merged away in the end`],
  ];
}

function printFacts(facts: Facts): void {
  const paint = paintFor(process.stdout);
  for (const [name, value] of facts) process.stdout.write(`${paint('dim', name.padEnd(16))}${value}\n`);
}

function printEnd({ problems, folders }: Pick<TortureResult, 'problems' | 'folders'>): void {
  const paint = paintFor(process.stdout);
  process.stdout.write(problems.length === 0 ? '\nNothing was lost, and nothing was folded twice.\n' : '\n');
  for (const line of problems) process.stdout.write(`${paint('red', 'PROBLEM')} ${line}\n`);
  for (const folder of folders) process.stdout.write(`${paint('yellow', 'kept')}    ${folder}\n`);
}
