import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { tapResults } from '../../tools/test-results.ts';
import { prerequisites, select } from '../../tools/test-selection.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PASSING = "import t from 'tap';\nt.test('holds', async (t) => { t.ok(true); t.ok(true); });\n";

interface Run {
  readonly code: number;
  readonly lines: readonly string[];
}

interface Files {
  readonly [name: string]: string | Files;
}

const namesOf = (files: Files, folder: string): string[] =>
  Object.entries(files).flatMap(([name, content]) => {
    const path = join(folder, name);
    return typeof content === 'string' ? [path] : namesOf(content, path);
  });

/** `npm test` in a project of its own, so that nobody's records of runs are disturbed. */
async function runTests(t: Test, files: Files, ci: boolean, more: NodeJS.ProcessEnv = {}): Promise<Run> {
  const dir = t.testdir({
    'package.json': '{"name":"tried","type":"module"}',
    '.taprc': readFileSync(join(ROOT, '.taprc'), 'utf8'),
    bin: { node: t.fixture('symlink', process.execPath) },
    node_modules: t.fixture('symlink', join(ROOT, 'node_modules')),
    test: { ...files },
  });
  const { TAP: _, TAP_CHILD_ID: __, ...env } = process.env;
  return new Promise((resolve) => {
    const options = { cwd: dir, env: { ...env, CI: String(ci), ...more } };
    // Named one by one: of all tests of a project, some system has to log something.
    const args = ['--import', 'tsx', join(ROOT, 'test', 'run.ts'), ...namesOf(files, 'test')];
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
      'exit.test.ts': `${PASSING.replace('t.test', 'await t.test')}setTimeout(() => process.exit(3), 50);\nawait new Promise(() => { setInterval(() => {}, 1000); });\n`,
      'none.test.ts': "console.log('nothing');\n",
    },
    false,
  );
  const text = lines.join('\n');
  t.equal(code, 1);
  t.equal(lines.at(-1), '8 passed, 4 failed, 2 skipped');
  t.match(text, /left out: .*c\.long\.test\.ts needs CI=true/);
  t.match(text, /ok +[\d.]+ s {2}.*a\.test\.ts \(2 passed\)/);
  t.match(text, /failed: outer > inner > numbers\n[\s\S]*-2\n.*\+1/);
  t.match(text, 'skipped: left: no broker');
  t.match(text, /FAIL .*crash\.test\.ts \(2 passed\)/);
  t.match(text, /FAIL .*exit\.test\.ts \(2 passed\)[\s\S]*exitCode: 3/);
  t.match(text, /FAIL .*none\.test\.ts[\s\S]*no test ran in this file/);
});

t.test('a secret that a system under test logs is a failure, with its line and the test', async (t) => {
  const logs = JSON.stringify(join(ROOT, 'tools', 'suite-logs.ts'));
  const writing = (line: string) =>
    `${PASSING}import { quietLogger } from ${logs};\nquietLogger.error({ error: ${JSON.stringify(line)} }, 'it failed');\n`;
  const files = { 'a.test.ts': writing('no project phc_planted'), 'b.test.ts': writing('no project 1') };
  const { code, lines } = await runTests(t, files, false);
  const text = lines.join('\n');
  t.same([code, lines.at(-1)], [1, '4 passed, 1 failed, 0 skipped']);
  t.match(text, /FAIL {2}a token in what a\.test\.ts\S* logged: .*"no project phc_planted"/);
  t.notMatch(text, /in what b\.test\.ts/);
});

t.test('with CI=true the long files run as well', async (t) => {
  const { code, lines } = await runTests(t, { 'c.long.test.ts': PASSING }, true);
  t.same([code, lines.at(-1)], [0, '3 passed, 0 failed, 0 skipped']);
});

t.test('a file is left out when something that it needs is missing, and all of it is named', async (t) => {
  const files = [
    'test/a.test.ts',
    'test/c.long.test.ts',
    'test/kafka/d.test.ts',
    'test/kafka/e.long.test.ts',
    'test/clients/browser.test.ts',
    'test/clients/python.test.ts',
    'test/load/k6.test.ts',
  ];
  const here = {
    ci: false,
    kafkaHosts: undefined,
    kafkaMissing: async () => 'Maven',
    pythonMissing: async () => 'Python',
    k6Missing: async () => 'k6',
    chromium: undefined,
  };
  const long = 'CI=true, because it takes long';
  const kafka = 'Maven for Kafka (or KAFKA_HOSTS)';
  t.same(await select(files, prerequisites(here)), {
    run: ['test/a.test.ts'],
    leftOut: [
      { file: 'test/c.long.test.ts', needs: long },
      { file: 'test/kafka/d.test.ts', needs: kafka },
      { file: 'test/kafka/e.long.test.ts', needs: `${long} and ${kafka}` },
      { file: 'test/clients/browser.test.ts', needs: 'Chromium (`chromium` in PATH, or CHROMIUM_PATH)' },
      { file: 'test/clients/python.test.ts', needs: 'Python' },
      { file: 'test/load/k6.test.ts', needs: 'k6' },
    ],
  });
  const there = {
    ci: true,
    kafkaHosts: 'host:9092',
    kafkaMissing: here.kafkaMissing,
    pythonMissing: async () => undefined,
    k6Missing: async () => undefined,
    chromium: '/usr/bin/chromium',
  };
  const withHosts = await select(files, prerequisites(there));
  t.same(withHosts, { run: files, leftOut: [] });
});

t.test('what no file needs is not looked for', async (t) => {
  const unasked = async () => t.fail('it was looked for');
  const known = prerequisites({
    ci: false,
    kafkaHosts: undefined,
    kafkaMissing: async () => `${await unasked()}`,
    pythonMissing: async () => `${await unasked()}`,
    k6Missing: async () => `${await unasked()}`,
    chromium: undefined,
  });
  t.same(await select(['test/a.test.ts'], known), { run: ['test/a.test.ts'], leftOut: [] });
});

t.test('without Java the tests of Kafka are left out with a line, and fail in CI', async (t) => {
  const files = { 'a.test.ts': PASSING, kafka: { 'b.test.ts': PASSING } };
  const nowhere = { PATH: join(t.testdirName, 'bin'), KAFKA_HOSTS: '' };
  const alone = await runTests(t, files, false, nowhere);
  t.same([alone.code, alone.lines.at(-1)], [0, '3 passed, 0 failed, 1 skipped']);
  t.match(alone.lines.join('\n'), /left out: test.kafka.b\.test\.ts needs Java 17 or later/);
  const inCi = await runTests(t, files, true, nowhere);
  t.same([inCi.code, inCi.lines.at(-1)], [1, '3 passed, 1 failed, 1 skipped']);
  t.match(inCi.lines.join('\n'), /FAIL {2}test.kafka.b\.test\.ts needs Java 17 or later/);
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
