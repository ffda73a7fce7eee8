import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { find, mutated } from '../../tools/mutants.ts';
import { MUTANTS, NOT_SIMULATED } from '../../tools/mutants-list.ts';

t.setTimeout(600_000);

const root = join(import.meta.dirname, '..', '..');

void t.test('every mutant still applies, and changes something', async (t) => {
  t.ok(MUTANTS.length >= 16);
  for (const mutant of MUTANTS) {
    const text = readFileSync(join(root, mutant.file), 'utf8');
    t.not(mutated(mutant, text), text, mutant.name);
  }
});

void t.test('a defect is found, and its history is made short', async (t) => {
  const mutant = MUTANTS.find(({ name }) => name === 'mapping version 0 for a foreign uuid');
  const found = mutant && (await find(mutant));
  t.match(found?.failure, /leads to .* without an override/);
  t.ok(found && found.records <= 5, `${found?.records} records`);
});

void t.test('what catches the others is there', async (t) => {
  for (const file of NOT_SIMULATED.flatMap(({ caughtBy }) => caughtBy))
    t.ok(existsSync(join(root, file)), file);
});

void t.test('a mutant whose text is gone says so', async (t) => {
  const gone = { name: 'gone', file: 'a.ts', search: 'not there', replacement: '' };
  t.throws(
    () => mutated(gone, 'something else'),
    /'gone' no longer applies: its text stands 0 times in a.ts/,
  );
});
