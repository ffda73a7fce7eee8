/** `npm run check`: types, format and lint, import rules. Prints what failed. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { breaches } from './import-rules.ts';
import { sourceFiles } from './source-files.ts';

const root = join(import.meta.dirname, '..');

/** Gives what it found wrong, or nothing. */
function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(join(root, 'node_modules', '.bin', program), args, {
    cwd: root,
    encoding: 'utf8',
  });
  return status === 0 ? '' : `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`;
}

const CHECKS: readonly { name: string; run: () => string }[] = [
  { name: 'types (tsc)', run: () => run('tsc', []) },
  { name: 'format and lint (biome)', run: () => run('biome', ['ci', '--colors=off', '.']) },
  { name: 'import rules', run: () => sourceFiles(root).flatMap(breaches).join('\n') },
];

for (const check of CHECKS) {
  const problems = check.run().trimEnd();
  process.stdout.write(problems === '' ? `ok    ${check.name}\n` : `FAIL  ${check.name}\n\n${problems}\n\n`);
  if (problems !== '') process.exitCode = 1;
}
