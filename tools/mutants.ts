/**
 * `npm run mutants [-- name …]`: plants one defect at a time into a copy of the project, and lets the simulation look
 * for it. One that is not found within 10,000 seeds, or only by a long history, is a failure. Takes minutes.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runFleet } from '../test/simulation/fleet.ts';
import { MUTANTS, type Mutant, NOT_SIMULATED } from './mutants-list.ts';

const SEEDS_MAX = 10_000;
const RECORDS_MAX = 20;
/** How many failing seeds are looked at for one that becomes short enough. */
const FINDS_MAX = 3;
const COPIED = ['src', 'test/simulation', 'package.json', 'tsconfig.json'];

/** The file's text with the defect. */
export function mutated({ name, file, search, replacement }: Mutant, text: string): string {
  const parts = text.split(search);
  if (parts.length !== 2) {
    throw new Error(`'${name}' no longer applies: its text stands ${parts.length - 1} times in ${file}`);
  }
  return parts.join(replacement);
}

interface Found {
  readonly seed: number;
  readonly records: number;
  readonly failure: string;
}

const root = join(import.meta.dirname, '..');

/** `undefined`: it survived. */
export async function find(mutant: Mutant): Promise<Found | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-mutant-'));
  try {
    for (const path of COPIED) cpSync(join(root, path), join(folder, path), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const file = join(folder, mutant.file);
    writeFileSync(file, mutated(mutant, readFileSync(file, 'utf8')));
    return await hunt(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function hunt(folder: string): Promise<Found | undefined> {
  let best: Found | undefined;
  let from = 1;
  for (let finds = 0; finds < FINDS_MAX && from <= SEEDS_MAX; finds++) {
    const { failures } = await runFleet({ from, seeds: SEEDS_MAX + 1 - from, failuresMax: 1, root: folder });
    const [failed] = failures;
    if (failed === undefined) break;
    if (best === undefined || failed.records < best.records) best = failed;
    if (best.records <= RECORDS_MAX) break;
    from = failed.seed + 1;
  }
  return best;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(names: readonly string[]): Promise<void> {
  const chosen = MUTANTS.filter(({ name }) => names.length === 0 || names.some((one) => name.includes(one)));
  if (chosen.length === 0) throw new Error(`no mutant has a name like ${names.join(' or ')}`);
  const width = Math.max(...chosen.map(({ name }) => name.length));
  say(`${'mutant'.padEnd(width)}   seed  records  what the simulation says`);
  let survivors = 0;
  for (const mutant of chosen) {
    const found = await find(mutant);
    if (found === undefined || found.records > RECORDS_MAX) survivors += 1;
    const seed = String(found?.seed ?? '-').padStart(5);
    const records = String(found?.records ?? '-').padStart(7);
    const failure = found?.failure.split('\n')[0] ?? `survived ${SEEDS_MAX} seeds`;
    say(`${mutant.name.padEnd(width)}  ${seed}  ${records}  ${failure.slice(0, 100)}`);
  }
  say('\nnot simulated, and caught by:');
  for (const { name, caughtBy } of NOT_SIMULATED) say(`${name}: ${caughtBy.join(', ')}`);
  if (survivors > 0) {
    say(
      `\n${survivors} of ${chosen.length} mutants were not found within ${SEEDS_MAX} seeds and ${RECORDS_MAX} records`,
    );
    process.exitCode = 1;
  }
}

if (import.meta.filename === process.argv[1]) await main(process.argv.slice(2));
