/** One run of k6, as a child process. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Summary } from '../k6/lib.ts';

export interface K6Options {
  /** The program. */
  readonly k6: string;
  readonly script: string;
  /** For the script. */
  readonly settings: Readonly<Record<string, string>>;
  /** Where its files go. */
  readonly folder: string;
  readonly report: (line: string) => void;
}

export interface K6Result {
  readonly answersFile: string;
  readonly summary: Summary;
  /** Such as `answered_ms p(99)<500`. */
  readonly failedThresholds: readonly string[];
}

const SCRIPTS = join(import.meta.dirname, '..', 'k6');
/** k6's exit code when a threshold was crossed. */
const THRESHOLDS_CROSSED = 99;
/** Interrupted: what was done until then counts. */
const INTERRUPTED = 105;
const COMPLAINTS_MAX = 20;
/** Expected where clients go away, and counted. */
const EXPECTED = 'Request Failed';

/** Rejects when k6 could not run the script, with what it said. */
export async function runK6({ k6, script, settings, folder, report }: K6Options): Promise<K6Result> {
  const answersFile = join(folder, 'answers.txt');
  const summaryFile = join(folder, 'summary.json');
  const variables = Object.entries({ ...settings, SUMMARY: summaryFile });
  const child = spawn(
    k6,
    [
      'run',
      '--quiet',
      '--no-usage-report',
      '--log-format=raw',
      `--console-output=${answersFile}`,
      ...variables.flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      join(SCRIPTS, `${script}.ts`),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const complaints: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line === EXPECTED || line === '') return;
    if (complaints.length < COMPLAINTS_MAX) complaints.push(line);
    report(`k6: ${line}`);
  });
  const interrupt = (): void => void child.kill('SIGINT');
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => process.off('SIGINT', interrupt).off('SIGTERM', interrupt));
  if (code !== 0 && code !== THRESHOLDS_CROSSED && code !== INTERRUPTED) {
    throw new Error(`k6 ended with exit code ${code}:\n${complaints.join('\n')}`);
  }
  const summary: Summary = JSON.parse(await readFile(summaryFile, 'utf8'));
  return { answersFile, summary, failedThresholds: failedThresholds(summary) };
}

function failedThresholds({ metrics }: Summary): string[] {
  return Object.entries(metrics).flatMap(([name, { thresholds = {} }]) =>
    Object.entries(thresholds).flatMap(([threshold, { ok }]) => (ok ? [] : [`${name} ${threshold}`])),
  );
}
