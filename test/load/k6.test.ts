import { execFile } from 'node:child_process';
import { appendFile, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { runK6 } from '../../load/support/k6-run.ts';
import { System } from '../../load/support/system.ts';
import { findK6 } from '../../tools/k6.ts';

t.setTimeout(600_000);

const ROOT = join(import.meta.dirname, '..', '..');
/** Other tests run at the same time: nobody is measured here. */
const SHORT = { RATE: '10', DURATION: '3s', P99_MS: '60000' };

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function npmRunLoad(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Said> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', 'load/run.ts', ...args],
      { cwd: ROOT, env: { ...process.env, HOST: '', CONSOLE: '', ...SHORT, ...env } },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

const k6 = await findK6((line) => t.comment(line));

t.test('against a system that runs, every script ends with its books balanced', async (t) => {
  const system = await System.create();
  t.teardown(() => system.remove());
  await system.start();
  const env = { HOST: system.captureUrl, CONSOLE: system.consoleUrl };

  for (const script of ['browser', 'bad-traffic']) {
    const { code, stdout, stderr } = await npmRunLoad([script], env);
    if (!t.equal(code, 0, `${script} ends well`)) t.comment(stdout, stderr);
    const result = JSON.parse(stdout);
    t.match(result, { script, lost: 0, problems: [], notes: [], after: { imbalance: 0, waiting: 0 } });
    t.ok(result.acknowledged > 0 && result.rows > 0, `${result.rows} of ${result.acknowledged} are rows`);
  }

  const folder = t.testdir();
  const settings = { ...env, ...SHORT, BATCH: '5' };
  const done = await runK6({ k6, script: 'steady', settings, folder, report: (line) => t.comment(line) });
  const proven = await npmRunLoad(['check', done.answersFile], env);
  if (!t.equal(proven.code, 0, 'what k6 wrote somewhere can be checked here'))
    t.comment(proven.stdout, proven.stderr);
  const { acknowledged, rows } = JSON.parse(proven.stdout);
  t.equal(rows, acknowledged);
  t.equal(acknowledged % 5, 0, 'batches of five');

  await t.test('one uuid that is nowhere is noticed and named', async (t) => {
    const file = join(folder, 'lost.txt');
    await copyFile(done.answersFile, file);
    await appendFile(file, '200 0 999999 1\n');
    const { code, stdout } = await npmRunLoad(['check', file], { ...env, SETTLE_SECONDS: '3' });
    t.equal(code, 1);
    const result = JSON.parse(stdout);
    t.equal(result.lost, 1);
    t.match(result.missing, [/-8000-8000-0000000f423f$/]);
    t.match(result.problems[0], /1 events were answered 200 and are neither a row/);
  });

  await t.test('a request that was refused and is a row all the same is noticed', async (t) => {
    const file = join(folder, 'refused.txt');
    await copyFile(done.answersFile, file);
    await appendFile(file, '400 0 0 5\n');
    const { code, stdout } = await npmRunLoad(['check', file], { ...env, SETTLE_SECONDS: '3' });
    t.equal(code, 1);
    t.match(JSON.parse(stdout).problems[0], /1 requests were refused, and are in the tables all the same/);
  });
});

t.test('signup starts a system of its own, and there is one person for each sign-up', async (t) => {
  const { code, stdout, stderr } = await npmRunLoad(['signup'], {});
  if (!t.equal(code, 0)) t.comment(stdout, stderr);
  const { persons, waits, lost } = JSON.parse(stdout);
  t.match(persons, { extra: 0, split: 0, persons: persons.signups });
  t.equal(lost, 0);
  t.same(
    waits.map(({ event }: { readonly event: string }) => event),
    ['$pageview', 'signed up', '$identify'],
  );
});

t.test('what cannot be run is answered with what to do', async (t) => {
  const said = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const { code, stderr } = await npmRunLoad(args, env);
    t.equal(code, 1);
    return stderr;
  };
  t.match(await said(['stead']), /give one of steady, signup, browser, bad-traffic/);
  t.match(await said(['steady'], { HOST: 'http://127.0.0.1:1' }), /set CONSOLE/);
  t.match(
    await said(['steady'], { HOST: 'http://127.0.0.1:1', CONSOLE: 'http://127.0.0.1:1' }),
    /does not answer/,
  );
  t.match(
    await said(['check', join(ROOT, 'package.json')], { CONSOLE: 'http://127.0.0.1:1' }),
    /no line "run/,
  );
});
