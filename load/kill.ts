/**
 * kill -9 in mid-load, start again on the same data, several times: nothing that was answered 200 may be lost.
 *
 *     node --import tsx load/kill.ts [--kills 10] [--seconds-between 2] [--rate 1000] [--seed N] [--json]
 *
 * `--rate`: events per second of all clients. Only the Node process is killed, as an operating system would do it; its
 * PostgreSQL lives on and has to be taken over. Exits with 1 if something is not as it must be.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Books } from '../src/books.ts';
import { paintFor, table } from '../src/cli/terminal.ts';
import { sleep, systemClock } from '../src/clock.ts';
import { countProblems } from './support/count-proof.ts';
import { CountingClient, type PersonCount } from './support/counting-client.ts';
import { booksProblems, countRows, personProblems, problem, rowProblems, settle } from './support/proof.ts';
import { seededRandom } from './support/random.ts';
import { RepeatWatch } from './support/repeat-watch.ts';
import { System } from './support/system.ts';

export interface KillOptions {
  readonly kills: number;
  /** Between a start and the next kill, on average. */
  readonly secondsBetween: number;
  readonly eventsPerSecond: number;
  readonly seed: number;
  readonly onProgress: (line: string) => void;
}

/** One death. */
export interface Kill {
  readonly kill: number;
  readonly moment: string;
  /** Events answered 200 so far. */
  readonly acknowledged: number;
  /** From the next start until it was ready; null: it was killed before. */
  readonly ready_again_ms: number | null;
}

export interface KillResult {
  readonly kills: readonly Kill[];
  readonly sent: number;
  readonly acknowledged: number;
  /** Rows of events that were not answered 200: durable, but the answer did not get out. */
  readonly unanswered: number;
  /** The most rows beyond one for each uuid that were there at once: inserted again, and not merged away yet. */
  readonly repeatsSeen: number;
  /** From the last start until everything had settled, a second of load included. */
  readonly settledMs: number;
  readonly books: Books;
  readonly problems: readonly string[];
}

const CLIENTS = 4;
const PERSONS_PER_CLIENT = 50;
const BATCH = 10;
/** One kill in so many comes while the system is still starting. */
const EARLY_KILL_IN = 4;
const LAST_LOAD_MS = 1_000;
/** About how long a start takes, until one has been measured. */
const RESTART_MS = 2_000;

export async function killAndCount(options: KillOptions): Promise<KillResult> {
  const { eventsPerSecond, onProgress } = options;
  const system = await System.create();
  const clients = Array.from({ length: CLIENTS }, (_, client) => {
    const distinctIds = Array.from({ length: PERSONS_PER_CLIENT }, (_, person) => `kill-${client}-${person}`);
    const { captureUrl } = system;
    return new CountingClient({
      captureUrl,
      distinctIds,
      batch: BATCH,
      eventsPerSecond: eventsPerSecond / CLIENTS,
    });
  });
  try {
    onProgress(`seed ${options.seed}, ready after ${await system.start()} ms`);
    const watch = new RepeatWatch(system);
    const runners = [...clients, watch];
    const running = runners.map((runner) => runner.run());
    const stop = (): Promise<unknown> => {
      for (const runner of runners) runner.stop();
      return Promise.all(running);
    };
    try {
      const kills = await killRepeatedly(system, clients, options);
      const lastStart = systemClock.monotonic();
      await sleep(systemClock, LAST_LOAD_MS);
      await stop();
      const books = await settle(system);
      const settledMs = Math.round(systemClock.monotonic() - lastStart);
      return {
        kills,
        settledMs,
        repeatsSeen: watch.most,
        books,
        ...(await prove(system, clients, books)),
      };
    } finally {
      await stop();
    }
  } finally {
    await system.remove();
  }
}

async function killRepeatedly(
  system: System,
  clients: readonly CountingClient[],
  { kills, secondsBetween, seed, onProgress }: KillOptions,
): Promise<readonly Kill[]> {
  const random = seededRandom(seed);
  const done: Kill[] = [];
  let readyMs = RESTART_MS;
  let isStarting = false;
  for (let kill = 1; kill <= kills; kill++) {
    const afterMs = Math.round(
      isStarting ? random.next() * readyMs : (0.25 + 1.5 * random.next()) * secondsBetween * 1_000,
    );
    await sleep(systemClock, afterMs);
    const moment = isStarting ? `${afterMs} ms after the start` : `after ${afterMs} ms of load`;
    if (system.hasEnded) throw new Error(`the system has ended by itself:\n${await system.log()}`);
    await system.kill();
    const acknowledged = totals(clients).acknowledged.size;
    system.launch();
    isStarting = kill < kills && random.integer(EARLY_KILL_IN) === 0;
    if (!isStarting) readyMs = await system.ready();
    const row = { kill, moment, acknowledged, ready_again_ms: isStarting ? null : readyMs };
    done.push(row);
    onProgress(
      `kill ${kill} ${moment}, ${acknowledged} acknowledged, ready again: ${row.ready_again_ms ?? '-'} ms`,
    );
  }
  return done;
}

async function prove(
  system: System,
  clients: readonly CountingClient[],
  books: Books,
): Promise<Pick<KillResult, 'sent' | 'acknowledged' | 'unanswered' | 'problems'>> {
  const { sent, acknowledged, persons } = totals(clients);
  const { uuids } = await countRows(system);
  const idsOf = (count: 'sent' | 'acknowledged'): ReadonlySet<string> =>
    new Set([...persons].filter(([, counts]) => counts[count] > 0).map(([id]) => id));
  const refusals = clients.flatMap((client) => client.refusals);
  const problems = [
    ...booksProblems(books, uuids),
    ...(await rowProblems(system, { sent, acknowledged })),
    ...(await personProblems(system, { sent: idsOf('sent'), acknowledged: idsOf('acknowledged') })),
    ...(await countProblems(system, persons)),
    ...problem(refusals, 'requests were refused'),
  ];
  return {
    sent: sent.size,
    acknowledged: acknowledged.size,
    unanswered: uuids - acknowledged.size,
    problems,
  };
}

function totals(clients: readonly CountingClient[]): {
  sent: ReadonlySet<string>;
  acknowledged: ReadonlySet<string>;
  persons: ReadonlyMap<string, PersonCount>;
} {
  return {
    sent: new Set(clients.flatMap(({ sent }) => [...sent])),
    acknowledged: new Set(clients.flatMap(({ acknowledged }) => [...acknowledged])),
    persons: new Map(clients.flatMap(({ persons }) => [...persons])),
  };
}

function print({ seed }: KillOptions, result: KillResult): void {
  const paint = paintFor(process.stdout);
  process.stdout.write(
    `${table(
      result.kills.map((kill) => ({ ...kill })),
      paint,
    )}\n`,
  );
  const facts: readonly (readonly [string, number | string])[] = [
    ['seed', seed],
    ['sent', result.sent],
    ['answered 200', result.acknowledged],
    ['rows', `${result.books.rows}, of which ${result.unanswered} were not answered`],
    ['repeats', `${result.repeatsSeen} rows inserted again were seen at once`],
    ['settled', `${result.settledMs} ms after the last start`],
    ['books', JSON.stringify(result.books)],
  ];
  for (const [name, value] of facts) process.stdout.write(`${paint('dim', name.padEnd(14))}${value}\n`);
  process.stdout.write(result.problems.length === 0 ? '\nNothing was lost.\n' : '\n');
  for (const line of result.problems) process.stdout.write(`${paint('red', 'PROBLEM')} ${line}\n`);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '10' },
      'seconds-between': { type: 'string', default: '2' },
      rate: { type: 'string', default: '1000' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      json: { type: 'boolean', default: false },
    },
  });
  const options: KillOptions = {
    kills: Number(values.kills),
    secondsBetween: Number(values['seconds-between']),
    eventsPerSecond: Number(values.rate),
    seed: Number(values.seed),
    onProgress: (line) => void process.stderr.write(`${line}\n`),
  };
  const result = await killAndCount(options);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else print(options, result);
  process.exitCode = result.problems.length === 0 ? 0 : 1;
}
