/** What torture prints: a line for each kill while it runs, and the table of gaps in the end. */
import { paintFor, table } from '../../src/cli/terminal.ts';
import type { GapCount, Kill, TortureResult } from '../torture.ts';
import { GAPS } from './torture-gaps.ts';

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

export function printResult(seed: number, result: TortureResult): void {
  const paint = paintFor(process.stdout);
  const gaps = result.gaps.map((one) => ({ ...one, 'what says so': GAPS[one.gap] }));
  process.stdout.write(`\n${table(gaps, paint)}\n`);
  const { fates, books } = result;
  const facts: readonly (readonly [string, string | number])[] = [
    ['seed', seed],
    ['kills', result.kills.length],
    ['answered 200', result.acknowledged],
    ['in the log', `${fates.records} records`],
    [
      'of which became',
      `${fates.rows} rows, ${fates.deadLetters} dead letters, dropped ${JSON.stringify(fates.dropped)}`,
    ],
    ['uuids again', `${fates.repeated} records, of which ${fates.repeatedRows} became rows once more`],
    ['rows again', `${fates.sentAgain} sent by replays, ${result.rowsRepeated} not merged away in the end`],
    ['persons', result.persons],
    ['memory', `at most ${result.rssMaxMib} MiB resident in one life`],
    ['books', JSON.stringify(books)],
  ];
  for (const [name, value] of facts) process.stdout.write(`${paint('dim', name.padEnd(16))}${value}\n`);
  process.stdout.write(
    result.problems.length === 0 ? '\nNothing was lost, and nothing was folded twice.\n' : '\n',
  );
  for (const line of result.problems) process.stdout.write(`${paint('red', 'PROBLEM')} ${line}\n`);
  for (const folder of result.folders) process.stdout.write(`${paint('yellow', 'kept')}    ${folder}\n`);
}
