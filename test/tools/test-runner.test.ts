import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { tapResults } from '../../tools/test-results.ts';
import { type Prerequisite, prerequisites, select } from '../../tools/test-selection.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PASSING = "import t from 'tap';\nt.test('holds', async (t) => { t.ok(true); t.ok(true); });\n";

interface Run {
  readonly code: number;
  readonly lines: readonly string[];
}

/** `npm test` in a project of its own, so that nobody's records of runs are disturbed. */
async function runTests(t: Test, files: Readonly<Record<string, string>>, ci: boolean): Promise<Run> {
  const dir = t.testdir({
    'package.json': '{"name":"tried","type":"module"}',
    '.taprc': readFileSync(join(ROOT, '.taprc'), 'utf8'),
    node_modules: t.fixture('symlink', join(ROOT, 'node_modules')),
    test: { ...files },
  });
  const { TAP: _, TAP_CHILD_ID: __, ...env } = process.env;
  return new Promise((resolve) => {
    const options = { cwd: dir, env: { ...env, CI: String(ci) } };
    const args = ['--import', 'tsx', join(ROOT, 'test', 'run.ts')];
    const child = execFile(process.execPath, args, options, (_error, stdout) => {
      resolve({ code: child.exitCode ?? -1, lines: stdout.trimEnd().split('\n') });
    });
  });
}

t.test('npm test counts what is true, shows failures, and ends with one line of totals', async (t) => {
  const { code, lines } = await runTests(
    t,
    {
      'a.test.ts': PASSING,
      'b.test.ts':
        "import t from 'tap';\nt.test('outer', (t) => { t.test('inner', async (t) => { t.ok(true); t.equal(1, 2, 'numbers'); }); t.end(); });\nt.test('left', { skip: 'no broker' }, async () => {});\n",
      'c.long.test.ts': PASSING,
      'crash.test.ts': `${PASSING}setImmediate(() => { throw new Error('late'); });\n`,
      'exit.test.ts': `${PASSING}setTimeout(() => process.exit(3), 50);\nawait new Promise(() => { setInterval(() => {}, 1000); });\n`,
      'none.test.ts': "console.log('nothing');\n",
    },
    false,
  );
  const text = lines.join('\n');
  t.equal(code, 1);
  t.equal(lines.at(-1), '7 passed, 4 failed, 2 skipped');
  t.match(text, /left out: .*c\.long\.test\.ts needs CI=true/);
  t.match(text, /ok +[\d.]+ s {2}.*a\.test\.ts \(2 passed\)/);
  t.match(text, /failed: outer > inner > numbers\n[\s\S]*-2\n.*\+1/);
  t.match(text, 'skipped: left: no broker');
  t.match(text, /FAIL .*crash\.test\.ts \(2 passed\)/);
  t.match(text, /FAIL .*exit\.test\.ts \(2 passed\)[\s\S]*exitCode: 3/);
  t.match(text, /FAIL .*none\.test\.ts[\s\S]*no test ran in this file/);
});

t.test('with CI=true the long files run as well', async (t) => {
  const { code, lines } = await runTests(t, { 'c.long.test.ts': PASSING }, true);
  t.same([code, lines.at(-1)], [0, '2 passed, 0 failed, 0 skipped']);
});

t.test('a file is left out when something that it needs is missing, and all of it is named', async (t) => {
  const known: readonly Prerequisite[] = [
    ...prerequisites(false),
    { suffix: '.kafka.long.test.ts', needs: 'Java', isThere: () => false },
    { suffix: '.pg.test.ts', needs: 'Postgres', isThere: () => true },
  ];
  t.same(select(['a.test.ts', 'b.pg.test.ts', 'c.long.test.ts', 'd.kafka.long.test.ts'], known), {
    run: ['a.test.ts', 'b.pg.test.ts'],
    leftOut: [
      { file: 'c.long.test.ts', needs: 'CI=true, because it takes long' },
      { file: 'd.kafka.long.test.ts', needs: 'CI=true, because it takes long and Java' },
    ],
  });
});

t.test('the line that closes a test counts only when it says more than its assertions', async (t) => {
  const tap = `TAP version 14
# Subtest: a.test.ts
    # Subtest: plan
        ok 1 - first
        1..1
    not ok 1 - plan # time=1ms
      ---
      message: it took too long
      ...
    1..1
not ok 1 - a.test.ts # time=1500ms
1..1
`;
  const found: unknown[] = [];
  const parser = tapResults((result) => found.push(result));
  parser.end(tap);
  t.same(found, [
    {
      file: 'a.test.ts',
      durationMs: 1500,
      passed: 1,
      failures: [{ path: ['plan'], detail: 'message: it took too long' }],
      skipped: [],
    },
  ]);
});
