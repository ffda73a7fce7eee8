/**
 * `npm run simulate -- --seeds N [--from S] [--processes P] [--json]`: random histories of the worker in a simulated
 * world, each against a sequential fold. Progress is JSON lines where nobody watches, or with `--json`. One seed alone is printed record by record, with what the process said.
 */
import { parseArgs } from 'node:util';
import { Metrics } from '../../src/metrics.ts';
import { examine, type FailedSeed } from './examine.ts';
import { runFleet } from './fleet.ts';
import { type Counts, countTable, tooRare } from './meetings.ts';
import { report } from './report.ts';

const FAILURES_MAX = 5;
/** On a terminal, and elsewhere. */
const PROGRESS_MS = { terminal: 500, lines: 10_000 };

const USAGE = 'Usage: npm run simulate -- --seeds N [--from S] [--processes P] [--json]';

const values = optionsGiven();

const seeds = wholeNumber('seeds', values.seeds);
const from = wholeNumber('from', values.from);
const processesMax = values.processes === undefined ? undefined : wholeNumber('processes', values.processes);
const isTerminal = process.stdout.isTTY === true && !values.json;
/** One seed is for people. */
const isJson = !isTerminal && seeds !== 1;

const failed = seeds === 1 ? await one() : await many();
process.exit(failed ? 1 : 0);

function optionsGiven() {
  try {
    return parseArgs({
      options: {
        seeds: { type: 'string', default: '10000' },
        from: { type: 'string', default: '1' },
        /** At most so many processes share the world; a seed has one or two. */
        processes: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n${USAGE}\n`);
  process.exit(2);
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  return refuse(`--${name} has to be a whole number from 1 on, and is '${text}'.`);
}

function say(text: string): void {
  process.stdout.write(`${isTerminal ? '\r\x1b[K' : ''}${text}\n`);
}

/** Gives whether it failed. */
async function one(): Promise<boolean> {
  const counts: Counts = new Map();
  const options = { processesMax, metrics: new Metrics(), counts, withTrace: true };
  const { ran, verdict, failed } = await examine(from, options);
  say(report(ran, verdict, true));
  if (failed) say(`\nshorter:\n${failed.report}`);
  return failed !== undefined;
}

async function many(): Promise<boolean> {
  const startMs = Date.now();
  let shownMs = startMs;
  const onProgress = (done: number) => {
    const nowMs = Date.now();
    if (nowMs - shownMs < (isTerminal ? PROGRESS_MS.terminal : PROGRESS_MS.lines)) return;
    shownMs = nowMs;
    const perSecond = (done * 1000) / (nowMs - startMs);
    const leftSeconds = Math.round((seeds - done) / perSecond);
    if (isTerminal) {
      process.stdout.write(
        `\r\x1b[K${done} of ${seeds} seeds, ${perSecond.toFixed(1)} a second, ${timeOf(leftSeconds)} left`,
      );
    } else say(JSON.stringify({ kind: 'progress', done, seeds, perSecond, leftSeconds }));
  };
  const onFailure = (failed: FailedSeed) =>
    say(isJson ? JSON.stringify({ kind: 'failure', ...failed }) : `\n${failed.report}\n`);

  const options = { from, seeds, processesMax, failuresMax: FAILURES_MAX, onProgress, onFailure };
  const { done, counts, failures } = await runFleet(options);
  const seconds = (Date.now() - startMs) / 1000;
  const rare = failures.length > 0 ? [] : tooRare(counts);
  if (isJson) {
    const meetings = Object.fromEntries(counts);
    say(JSON.stringify({ kind: 'end', done, seconds, failures: failures.length, tooRare: rare, meetings }));
  } else {
    for (const line of [...countTable(counts), ...rare]) say(line);
    const rate = (done / seconds).toFixed(1);
    say(`${done} seeds from ${from} in ${seconds.toFixed(0)} s, ${rate} a second: ${failures.length} failed`);
  }
  return failures.length + rare.length > 0;
}

function timeOf(seconds: number): string {
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
