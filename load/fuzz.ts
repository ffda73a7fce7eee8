/**
 * Hostile input: bodies that SDKs were seen to send, changed at every level, and bytes that are no HTTP.
 *
 *     npm run fuzz -- --minutes 5 [--seed S] [--json]
 *     npm run fuzz -- --input FILE [--json]
 *
 * Starts a system of its own. The seed decides every input. An input that shows a fault is written to a file, which
 * `--input` sends again. Exits with 1 if something is not as it must be.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type Paint, paintFor, table } from '../src/cli/terminal.ts';
import { sendAgain } from './fuzz/again.ts';
import { type FuzzResult, fuzz, GROWTH_MIB_MAX } from './fuzz/run.ts';

function print(result: FuzzResult, paint: Paint): void {
  const { inputs, accepted, acceptedPercent, acceptedUnknown, answers, reasons, books, grownMib } = result;
  const write = (text: string): void => void process.stdout.write(text);
  write('Reasons of the door, from the books\n');
  write(
    table(
      reasons.map((row) => ({ ...row })),
      paint,
    ),
  );
  const counts = (named: Readonly<Record<string, number>>): string =>
    Object.entries(named)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none';
  const facts: readonly (readonly [string, string | number])[] = [
    ['seed', result.seed],
    ['inputs', inputs],
    [
      'accepted',
      `${accepted}, ${acceptedPercent} %; besides, ${acceptedUnknown} spoilt ones were answered 200`,
    ],
    ['answers', counts(answers)],
    ['dead letters', counts(books.dead_lettered)],
    ['drops', counts(books.dropped)],
    [
      'memory',
      `${grownMib} MiB more at the end than after the first quarter, of ${GROWTH_MIB_MAX} (without the log's file)`,
    ],
    ['books', JSON.stringify(books)],
  ];
  write('\n');
  for (const [name, value] of facts) write(`${paint('dim', name.padEnd(14))}${value}\n`);
  write('\nMemory after a collection, MiB\n');
  const { memoryAfterQuarter, memoryAtEnd } = result;
  write(
    table(
      [
        { when: 'after the first quarter', ...memoryAfterQuarter },
        { when: 'at the end', ...memoryAtEnd },
      ],
      paint,
    ),
  );
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      input: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const paint = paintFor(process.stdout);
  const end = (problems: readonly string[]): void => {
    process.exitCode = problems.length === 0 ? 0 : 1;
    if (values.json) return;
    process.stdout.write(problems.length === 0 ? '\nNothing was found.\n' : '\n');
    for (const line of problems) process.stdout.write(`${paint('red', 'PROBLEM')} ${line}\n`);
  };
  if (values.input === undefined) {
    const { minutes, seed } = values;
    process.stderr.write(`again with: npm run fuzz -- --minutes ${minutes} --seed ${seed}\n`);
    const result = await fuzz({
      seconds: Number(minutes) * 60,
      seed: Number(seed),
      onProgress: (line) => void process.stderr.write(`${line}\n`),
    });
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else print(result, paint);
    end(result.problems);
  } else {
    const result = await sendAgain(values.input);
    process.stdout.write(`${JSON.stringify(result, null, values.json ? 0 : 2)}\n`);
    end(result.problems);
  }
}
