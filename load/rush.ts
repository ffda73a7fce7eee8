/**
 * Many clients at once, for a short time: how long until every event is a row, and what memory that takes.
 *
 *     node --import tsx load/rush.ts [--events 24000] [--persons 3000] [--clients 8] [--batch 20] [--json]
 *
 * `--batch 1` posts single events. Starts a system of its own, and exits with 1 if something is not as it must be.
 */
import { parseArgs } from 'node:util';
import type { Books } from '../src/books.ts';
import { paintFor, table } from '../src/cli/terminal.ts';
import type { LoadEvent } from './support/client.ts';
import type { Memory } from './support/memory.ts';
import { postAll } from './support/post-all.ts';
import { booksProblems, personProblems, rowProblems, settle } from './support/proof.ts';
import { seededRandom } from './support/random.ts';
import { rushEvent } from './support/rush-events.ts';
import { System } from './support/system.ts';

export interface RushOptions {
  readonly events: number;
  readonly persons: number;
  readonly clients: number;
  /** Events of one request. */
  readonly batch: number;
  readonly onProgress: (line: string) => void;
}

export interface RushResult {
  readonly bytesPerEvent: number;
  /** From the first request until the last answer. */
  readonly answeredMs: number;
  /** From the first request until every event has its row. */
  readonly rowsMs: number;
  /** Requests that were answered 503 and posted again. */
  readonly retries: number;
  readonly books: Books;
  readonly memoryAfterTenth: Memory;
  readonly memoryAtEnd: Memory;
  /** Everything that is not as it must be. */
  readonly problems: readonly string[];
}

/** For a machine that is busy with other things. */
export const ROWS_MS_MAX = 120_000;
export const GROWTH_MIB_MAX = 100;

/** The first tenth settles before the rest is posted, so that its memory can be measured; that time does not count. */
export async function rush(options: RushOptions): Promise<RushResult> {
  const events = makeEvents(options);
  const tenth = Math.ceil(events.length / 10);
  const system = await System.create();
  try {
    options.onProgress(`ready after ${await system.start()} ms`);
    const first = await postAll(system, events.slice(0, tenth), {
      ...options,
      rowsInAll: tenth,
      rowsMsMax: ROWS_MS_MAX,
    });
    await settle(system);
    const memoryAfterTenth = await system.memory();
    const rest = await postAll(system, events.slice(tenth), {
      ...options,
      rowsInAll: events.length,
      rowsMsMax: ROWS_MS_MAX,
    });
    const books = await settle(system);
    const memoryAtEnd = await system.memory();

    const posted = new Set(events.map(({ uuid }) => uuid));
    const persons = new Set(events.map((event) => event.distinct_id));
    const rowsMs = first.rowsMs + rest.rowsMs;
    const problems = [
      ...booksProblems(books, events.length),
      ...(await rowProblems(system, { sent: posted, acknowledged: posted })),
      ...(await personProblems(system, { sent: persons, acknowledged: persons })),
    ];
    if (rowsMs > ROWS_MS_MAX) problems.push(`it took ${rowsMs} ms until every event was a row`);
    const growth = memoryAtEnd.rss - memoryAfterTenth.rss;
    if (growth > GROWTH_MIB_MAX) problems.push(`the process grew by ${growth} MiB`);
    return {
      bytesPerEvent: Math.round(events.reduce((bytes, event) => bytes + sizeOf(event), 0) / events.length),
      answeredMs: first.answeredMs + rest.answeredMs,
      rowsMs,
      retries: first.retries + rest.retries,
      books,
      memoryAfterTenth,
      memoryAtEnd,
      problems,
    };
  } finally {
    await system.remove();
  }
}

function makeEvents({ events, persons }: RushOptions): readonly LoadEvent[] {
  const random = seededRandom(1);
  return Array.from({ length: events }, (_, index) => rushEvent(random, index % persons, index));
}

const sizeOf = (event: LoadEvent): number => Buffer.byteLength(JSON.stringify(event));

function print(options: RushOptions, result: RushResult): void {
  const paint = paintFor(process.stdout);
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const perSecond = (ms: number): number => Math.round(options.events / (ms / 1_000));
  const facts = [
    ['events', `${options.events} of ${result.bytesPerEvent} bytes, ${options.persons} persons`],
    ['posted by', `${options.clients} clients, ${options.batch} events at once`],
    ['all answered', `${seconds(result.answeredMs)}, ${perSecond(result.answeredMs)} events/s`],
    ['all are rows', `${seconds(result.rowsMs)}, ${perSecond(result.rowsMs)} events/s`],
    ['answered 503', `${result.retries} requests`],
  ];
  for (const [name = '', value = ''] of facts)
    process.stdout.write(`${paint('dim', name.padEnd(14))}${value}\n`);
  process.stdout.write(
    `\nThe books\n${JSON.stringify(result.books, null, 2)}\n\nMemory after a collection, MiB\n`,
  );
  const { memoryAfterTenth, memoryAtEnd } = result;
  process.stdout.write(
    table(
      [
        { when: 'after the first tenth', ...memoryAfterTenth },
        { when: 'at the end', ...memoryAtEnd },
      ],
      paint,
    ),
  );
  process.stdout.write(result.problems.length === 0 ? '\nEverything is as it must be.\n' : '\n');
  for (const line of result.problems) process.stdout.write(`${paint('red', 'PROBLEM')} ${line}\n`);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '24000' },
      persons: { type: 'string', default: '3000' },
      clients: { type: 'string', default: '8' },
      batch: { type: 'string', default: '20' },
      json: { type: 'boolean', default: false },
    },
  });
  const options: RushOptions = {
    events: Number(values.events),
    persons: Number(values.persons),
    clients: Number(values.clients),
    batch: Number(values.batch),
    onProgress: (line) => void process.stderr.write(`${line}\n`),
  };
  const result = await rush(options);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else print(options, result);
  process.exitCode = result.problems.length === 0 ? 0 : 1;
}
