/** `npm test`: every test file that this machine can run, two at a time. Takes files as arguments. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { findChromium } from '../tools/chromium.ts';
import { k6Missing } from '../tools/k6.ts';
import { kafkaMissing, startKafka } from '../tools/kafka/broker.ts';
import { newRunFolder, removeFolder } from '../tools/kafka/folder.ts';
import { pythonMissing } from '../tools/python-sdk.ts';
import { findLeaks } from '../tools/suite-logs.ts';
import { indent, tapResults } from '../tools/test-results.ts';
import { isKafkaTest, prerequisites, select } from '../tools/test-selection.ts';

const ci = process.env['CI'] === 'true';
const kafkaHosts = process.env['KAFKA_HOSTS'];
/** Of the project: npm starts its scripts there. */
const root = process.cwd();
const given = process.argv.slice(2).map((file) => relative(root, file));
const all = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => join('test', file))
  .sort();
const { run, leftOut } = await select(
  given.length > 0 ? given : all,
  prerequisites({ ci, kafkaHosts, kafkaMissing, pythonMissing, k6Missing, chromium: findChromium() }),
);

const logs = await mkdtemp(join(tmpdir(), 'tributary-logs-'));
process.env['SUITE_LOGS'] = logs;

const totals = { passed: 0, failed: 0, skipped: leftOut.length };

function report(line: string): void {
  process.stdout.write(`${line}\n`);
}

function fail(problem: string): void {
  totals.failed += 1;
  report(`FAIL  ${problem}`);
}

const results = tapResults(({ file, durationMs, passed, failures, skipped }) => {
  totals.passed += passed;
  totals.failed += failures.length;
  totals.skipped += skipped.length;
  const seconds = (durationMs / 1000).toFixed(1);
  report(`${failures.length === 0 ? 'ok  ' : 'FAIL'}  ${seconds.padStart(5)} s  ${file} (${passed} passed)`);
  for (const skip of skipped) report(`      skipped: ${skip}`);
  for (const { path, detail } of failures) {
    report(indent(`\nfailed: ${path.join(' > ')}\n${indent(detail)}\n`));
  }
});

const LEAKS_SHOWN_MAX = 20;
const LINE_CHARS_MAX = 1_000;

/** What measures time has the machine to itself. */
const SERIAL = join('test', 'kafka', 'faults');

/** Resolves with tap's exit code. Its standard error, where files write theirs, passes through. */
function runTap(files: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const tap = join(root, 'node_modules', '.bin', 'tap');
  const child = spawn(tap, ['--jobs=2', `--serial=${SERIAL}`, '--reporter=tap', ...files], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.on('data', (chunk: Buffer) => results.write(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      results.end();
      resolve(code ?? 1);
    });
  });
}

interface Kafka {
  readonly hosts: string;
  stop(): Promise<void>;
}

/** One broker for all the files that need one. `undefined`: it does not start, which is a failure. */
async function startBroker(): Promise<Kafka | undefined> {
  const dir = await newRunFolder();
  try {
    const broker = await startKafka({ dir, report, onEnd: fail });
    return { hosts: broker.hosts, stop: () => broker.kill().then(() => removeFolder(dir)) };
  } catch (error) {
    await removeFolder(dir);
    fail(`no test of Kafka runs: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

/** Gives tap's exit code. */
async function runAll(files: readonly string[]): Promise<number> {
  if (kafkaHosts || !files.some(isKafkaTest)) return runTap(files, process.env);
  const kafka = await startBroker();
  const others = files.filter((file) => !isKafkaTest(file));
  if (kafka === undefined) return others.length > 0 ? runAll(others) : 1;
  return runTap(files, { ...process.env, KAFKA_HOSTS: kafka.hosts }).finally(() => kafka.stop());
}

/** No test may make a part log what its users would not want to be there. */
async function lookThroughLogs(): Promise<void> {
  const { lines, leaks } = await findLeaks(logs);
  for (const { file, secret, line } of leaks.slice(0, LEAKS_SHOWN_MAX))
    report(`FAIL  ${secret} in what ${file} logged: ${line.slice(0, LINE_CHARS_MAX)}`);
  if (leaks.length > 0) totals.failed += 1;
  else if (lines === 0 && given.length === 0)
    fail('nothing was logged: there was nothing to look for secrets in');
  else {
    totals.passed += 1;
    report(`ok            no secret in ${lines} lines of logs`);
  }
}

for (const { file, needs } of leftOut) {
  if (ci) fail(`${file} needs ${needs}`);
  else report(`left out: ${file} needs ${needs}`);
}
if (run.length === 0) fail('there is no test to run');
else {
  const code = await runAll(run);
  await lookThroughLogs();
  if (code !== 0 && totals.failed === 0) fail(`tap ended with exit code ${code}`);
  if (totals.passed === 0 && totals.failed === 0) fail('no test ran');
}
report(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
await rm(logs, { recursive: true, force: true });
process.exitCode = totals.failed === 0 ? 0 : 1;
