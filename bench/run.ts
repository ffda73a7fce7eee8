/** `npm run bench [-- NAME … --json]`: each benchmark in a process of its own, one after the other. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { paintFor } from '../src/cli/terminal.ts';
import { BENCHMARKS } from './all.ts';
import type { Result } from './compare.ts';
import { describeMachine } from './machine.ts';
import { asJson, asTable } from './report.ts';

/** A name stands for those below it too: `capture` for `capture/batches`. */
const means = (asked: string, name: string): boolean => name === asked || name.startsWith(`${asked}/`);

const NAMES = BENCHMARKS.map(({ name }) => name);

/** Those of these that this machine can run; says what the others need. */
async function possible(names: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { name, missing } of BENCHMARKS.filter((each) => names.includes(each.name))) {
    const needs = await missing?.();
    if (needs === undefined) found.push(name);
    else process.stderr.write(`left out: ${name} needs ${needs}\n`);
  }
  return found;
}

/** Node's own options (gc, tsx) are passed on. */
function runAlone(name: string): Promise<Result> {
  const child = fork(join(import.meta.dirname, 'one.ts'), [name]);
  return new Promise((resolve, reject) => {
    let result: Result | undefined;
    child.on('message', (message: Result) => {
      result = message;
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (result !== undefined && code === 0) resolve(result);
      else reject(new Error(`the benchmark ${name} failed`));
    });
  });
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const unknown = positionals.find((asked) => !NAMES.some((name) => means(asked, name)));
  if (unknown !== undefined)
    throw new Error(`there is no benchmark ${unknown}: choose from ${NAMES.join(', ')}`);
  const chosen = await possible(
    NAMES.filter((name) => positionals.length === 0 || positionals.some((asked) => means(asked, name))),
  );
  if (chosen.length === 0) throw new Error('this machine can run none of them');
  const forPeople = process.stdout.isTTY && !values.json;
  const machine = describeMachine();
  const results: Result[] = [];
  for (const name of chosen) {
    if (forPeople) process.stderr.write(`${name} …\n`);
    const result = await runAlone(name);
    results.push(result);
    if (!forPeople) process.stdout.write(asJson([result], machine));
  }
  if (forPeople) process.stdout.write(`\n${asTable(results, machine, paintFor(process.stdout))}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
