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
import { sleep, systemClock } from '../src/clock.ts';
import { Client, type LoadEvent } from './support/client.ts';
import type { Memory } from './support/memory.ts';
import { booksProblems, countRows, personProblems, rowProblems, settle } from './support/proof.ts';
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

export const ROWS_MS_MAX = 60_000;
export const GROWTH_MIB_MAX = 100;
const ROWS_POLL_MS = 50;

/** The first tenth settles before the rest is posted, so that its memory can be measured; that time does not count. */
export async function rush(options: RushOptions): Promise<RushResult> {
  const events = makeEvents(options);
  const tenth = Math.ceil(events.length / 10);
  const system = await System.create();
  try {
    options.onProgress(`ready after ${await system.start()} ms`);
    const first = await post(system, events.slice(0, tenth), tenth, options);
    await settle(system);
    const memoryAfterTenth = await system.memory();
    const rest = await post(system, events.slice(tenth), events.length, options);
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

interface PostResult {
  readonly answeredMs: number;
  readonly rowsMs: number;
  readonly retries: number;
}

/** Posts with all clients at once, then waits until ClickHouse has `rowsInAll` events. */
async function post(
  system: System,
  events: readonly LoadEvent[],
  rowsInAll: number,
  { clients, batch, onProgress }: RushOptions,
): Promise<PostResult> {
  const startedAt = systemClock.monotonic();
  const elapsedMs = (): number => Math.round(systemClock.monotonic() - startedAt);
  let next = 0;
  let retries = 0;
  const run = async (): Promise<void> => {
    const client = new Client(system.captureUrl);
    try {
      while (next < events.length) {
        const some = events.slice(next, next + batch);
        next += batch;
        retries += await postUntilTaken(client, some);
      }
    } finally {
      client.close();
    }
  };
  await Promise.all(Array.from({ length: clients }, run));
  const answeredMs = elapsedMs();
  onProgress(`${events.length} events answered after ${answeredMs} ms`);
  for (;;) {
    const { uuids } = await countRows(system);
    if (uuids >= rowsInAll) break;
    if (elapsedMs() > ROWS_MS_MAX) throw new Error(`after ${elapsedMs()} ms ${uuids} events are rows`);
    await sleep(systemClock, ROWS_POLL_MS);
  }
  const rowsMs = elapsedMs();
  onProgress(`${events.length} events are rows after ${rowsMs} ms`);
  return { answeredMs, rowsMs, retries };
}

/** A 503 took nothing and is posted again, as SDKs do. Resolves with how often that was. */
async function postUntilTaken(client: Client, events: readonly LoadEvent[]): Promise<number> {
  for (let retries = 0; ; retries++) {
    const { status, text } = await client.post(events);
    if (status === 200) return retries;
    if (status !== 503) throw new Error(`capture answered ${status}: ${text}`);
    await sleep(systemClock, 1_000);
  }
}

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
