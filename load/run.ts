/**
 * `npm run load -- SCRIPT`: load from k6, and a proof that every event that was answered 200 is a row, a dead letter or
 * a drop. Starts a system of its own, unless `HOST` and `CONSOLE` name one.
 */

import { randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConsoleClient, causeOf } from '../src/cli/client.ts';
import { runCommand, UsageError } from '../src/cli/command.ts';
import type { Config } from '../src/config.ts';
import { DATABASES } from '../src/console/server.ts';
import { findK6 } from '../tools/k6.ts';
import { type LoadRun, readAnswers } from './support/answers.ts';
import { balance } from './support/balance.ts';
import { runK6 } from './support/k6-run.ts';
import { personProblems, signupPersons, waits } from './support/load-facts.ts';
import { type LoadResult, resultRow, resultText } from './support/load-report.ts';
import type { Observed } from './support/proof.ts';
import { startSlowClients } from './support/slow-clients.ts';
import { System } from './support/system.ts';
import { startThree } from './support/three.ts';

const SCRIPTS = ['steady', 'signup', 'browser', 'bad-traffic'];
const VARIABLES = ['TOKEN', 'RATE', 'DURATION', 'PERSONS', 'BATCH', 'BAD_PERCENT', 'P99_MS'];
const TOKEN = 'phc_tributary_dev';
const SETTLE_SECONDS = 180;

const HELP = `Usage: npm run load -- SCRIPT [--processes 3]
       npm run load -- check FILE

Load from k6, and a proof that every event that was answered 200 is a row, a dead letter or a
drop. Without HOST it starts a system of its own and removes it afterwards.

  steady       as many requests every second: one event each, or a batch
  signup       people who sign up: one person each, and how long events were held for that
  browser      visits of a page, in the wire form of posthog-js
  bad-traffic  malformed, oversize, slow and aborted requests among good ones
  check FILE   proves what k6 wrote on another machine (load/README.md)

  --processes 3  starts three processes on a Kafka of their own (needs Java and Maven)
  --json         prints JSON on a terminal, too

Environment: HOST and CONSOLE, a system that runs (http://127.0.0.1:8000 and :8010; CONSOLE_TOKEN),
which gets no other events meanwhile, or SHARED=on; TOKEN (${TOKEN}); RATE (50 requests, sign-ups or
visits a second); DURATION (15s); PERSONS (200); BATCH (1 event a request); BAD_PERCENT (30);
P99_MS (500, for answers); SETTLE_SECONDS (180: how long everything may take to be a row).

  RATE=200 BATCH=20 DURATION=30s npm run load -- steady
`;

await runCommand({
  help: HELP,
  options: { processes: { type: 'string', default: '1' } },
  async run({ values, positionals, config, output }) {
    const [script = '', file, ...others] = positionals;
    const isCheck = script === 'check';
    if ((!isCheck && !SCRIPTS.includes(script)) || (isCheck && file === undefined) || others.length > 0) {
      throw new UsageError(`give one of ${SCRIPTS.join(', ')}, or check FILE. --help says what they are`);
    }
    if (!['1', '3'].includes(values.processes)) throw new UsageError('--processes is 1 or 3');
    const report = (line: string): void => void process.stderr.write(`${line}\n`);
    const k6 = isCheck ? '' : await findK6(report);
    const target = await findTarget(config, { isCheck, script, processes: values.processes, report });
    const folder = await mkdtemp(join(tmpdir(), 'tributary-k6-'));
    try {
      const result = isCheck
        ? await prove(target, await readAnswers(file ?? ''))
        : await load(target, { k6, script, folder, report });
      output.line(resultText(result, output.paint));
      output.record(resultRow(result));
      if (result.problems.length > 0) process.exitCode = 1;
    } finally {
      await target.remove();
      await rm(folder, { recursive: true, force: true });
    }
  },
});

interface Target {
  readonly captureUrl: string;
  readonly consoleUrl: string;
  readonly observed: Observed;
  /** Nobody else sends events to it. */
  readonly isAlone: boolean;
  remove(): Promise<void>;
}

interface Asked {
  readonly isCheck: boolean;
  readonly script: string;
  readonly processes: string;
  readonly report: (line: string) => void;
}

async function findTarget(config: Config, { isCheck, script, processes, report }: Asked): Promise<Target> {
  const { HOST, CONSOLE, SHARED } = process.env;
  if (HOST || isCheck) {
    if (!CONSOLE) {
      throw new UsageError(
        'set CONSOLE to the console of that system, such as http://127.0.0.1:8010: what became of the events is asked there',
      );
    }
    const captureUrl = (HOST ?? '').replace(/\/+$/, '');
    const consoleUrl = CONSOLE.replace(/\/+$/, '');
    const observed = new ConsoleClient({ captureUrl, consoleUrl, postgresUrl: undefined }, config);
    const client: Observed = {
      books: () => observed.books(),
      query: (sql, database = 'clickhouse') => observed.query(database, sql),
    };
    return {
      captureUrl,
      consoleUrl,
      observed: client,
      isAlone: !isCheck && SHARED !== 'on',
      remove: async () => {},
    };
  }
  // Only sign-ups need the hold; others would wait for its end.
  const settings = { BUFFER_CONVERSION_SECONDS: script === 'signup' ? '60' : '0' };
  if (processes === '3') {
    const { capture, loader, remove } = await startThree(settings, report);
    const { captureUrl } = capture;
    return { captureUrl, consoleUrl: loader.consoleUrl, observed: loader, isAlone: true, remove };
  }
  const system = await System.create(settings);
  const remove = (): Promise<void> => system.remove();
  try {
    report(`a system of its own is ready after ${await system.start()} ms`);
  } catch (error) {
    await remove();
    throw error;
  }
  const { captureUrl, consoleUrl } = system;
  return { captureUrl, consoleUrl, observed: system, isAlone: true, remove };
}

interface Loading {
  /** The program. */
  readonly k6: string;
  readonly script: string;
  readonly folder: string;
  readonly report: (line: string) => void;
}

async function load(target: Target, { k6, script, folder, report }: Loading): Promise<LoadResult> {
  await tryOut(target);
  const runId = randomBytes(6).toString('hex');
  const given = VARIABLES.flatMap((name) => {
    const value = process.env[name];
    return value ? [[name, value]] : [];
  });
  const { captureUrl, consoleUrl } = target;
  const settings = { ...Object.fromEntries(given), HOST: captureUrl, CONSOLE: consoleUrl, RUN: runId };
  report(`k6 runs ${script}`);
  const token = process.env['TOKEN'] || TOKEN;
  const slow = script === 'bad-traffic' ? startSlowClients({ captureUrl, token, runId }) : undefined;
  const result = await runK6({ k6, script, settings, folder, report }).finally(() => slow?.stop());
  const lines = (await slow?.stop()) ?? [];
  await appendFile(result.answersFile, lines.map((line) => `${line}\n`).join(''));
  report('k6 has ended; looking for every event');
  return prove(target, await readAnswers(result.answersFile), result);
}

/** Before the load, not after it. Rejects with what does not answer, or why not. */
async function tryOut({ captureUrl, observed }: Target): Promise<void> {
  await fetch(captureUrl).catch((error: unknown) => {
    throw new UsageError(`capture at ${captureUrl} does not answer: ${causeOf(error)}`);
  });
  await observed.books();
  for (const database of DATABASES) await observed.query('SELECT 1', database);
}

async function prove(
  { observed, isAlone }: Target,
  run: LoadRun,
  k6?: Pick<Awaited<ReturnType<typeof runK6>>, 'summary' | 'failedThresholds'>,
): Promise<LoadResult> {
  const settleMs = Number(process.env['SETTLE_SECONDS'] || SETTLE_SECONDS) * 1_000;
  const balanced = await balance(observed, run, isAlone, settleMs);
  const persons = run.script === 'signup' ? await signupPersons(observed, run) : undefined;
  return {
    run,
    balanced,
    persons,
    waits: await waits(observed, run),
    summary: k6?.summary,
    problems: [
      ...balanced.problems,
      ...(persons === undefined ? [] : personProblems(persons)),
      ...(run.answers.acknowledged === 0 ? ['nothing was answered 200'] : []),
      ...(k6?.failedThresholds ?? []).map((threshold) => `a threshold was crossed: ${threshold}`),
    ],
  };
}
