/**
 * Many people at once who log in, merge and are held: how long until every event is a row on the right person.
 *
 *     node --import tsx load/merges.ts [--events 24000] [--persons 3000] [--clients 8] [--batch 20] [--json]
 *
 * 10 % of the events are `$identify`, 5 % are `$create_alias`; the hold is 2 s. Starts a system of its own, and exits
 * with 1 if something is not as it must be.
 */
import { parseArgs } from 'node:util';
import type { Books } from '../src/books.ts';
import { paintFor, table } from '../src/cli/terminal.ts';
import type { Memory } from './support/memory.ts';
import { makeMergeEvents } from './support/merge-events.ts';
import { countMerges, type MergeCounts, mergeProblems } from './support/merge-proof.ts';
import { type PostResult, postAll } from './support/post-all.ts';
import { booksProblems, rowProblems, settle } from './support/proof.ts';
import { seededRandom } from './support/random.ts';
import { System } from './support/system.ts';

export interface MergesOptions {
  readonly events: number;
  readonly persons: number;
  readonly clients: number;
  /** Events of one request. */
  readonly batch: number;
  readonly seed: number;
  readonly onProgress: (line: string) => void;
}

export interface MergesResult extends PostResult, MergeCounts {
  /** Persons merged into another one. */
  readonly merges: number;
  /** Held events by what released them. */
  readonly released: { readonly person: number; readonly time: number; readonly memory: number };
  /** Persons whose unsaved work was redone. */
  readonly redone: number;
  readonly books: Books;
  readonly memory: Memory;
  /** Everything that is not as it must be. */
  readonly problems: readonly string[];
}

/** For a machine that is busy with other things. */
export const ROWS_MS_MAX = 120_000;
const HOLD_SECONDS = 2;

export async function merges(options: MergesOptions): Promise<MergesResult> {
  const events = makeMergeEvents(seededRandom(options.seed), options);
  const system = await System.create({ BUFFER_CONVERSION_SECONDS: String(HOLD_SECONDS) });
  try {
    options.onProgress(`ready after ${await system.start()} ms`);
    const posted = await postAll(system, events, {
      ...options,
      rowsInAll: events.length,
      rowsMsMax: ROWS_MS_MAX,
    });
    const books = await settle(system);
    const uuids = new Set(events.map(({ uuid }) => uuid));
    const released = (reason: string): Promise<number> =>
      system.metric('tributary_worker_released_total', `reason="${reason}"`);
    return {
      ...posted,
      ...(await countMerges(system)),
      merges: await system.metric('tributary_worker_persons_merged_total'),
      released: {
        person: await released('person'),
        time: await released('time'),
        memory: await released('memory'),
      },
      redone: await system.metric('tributary_worker_broken_beliefs_total'),
      books,
      memory: await system.memory(),
      problems: [
        ...booksProblems(books, events.length),
        ...(await rowProblems(system, { sent: uuids, acknowledged: uuids })),
        ...(await mergeProblems(system, events)),
      ],
    };
  } finally {
    await system.remove();
  }
}

function print(options: MergesOptions, result: MergesResult): void {
  const paint = paintFor(process.stdout);
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const perSecond = (ms: number): number => Math.round(options.events / (ms / 1_000));
  const { released, memory } = result;
  const facts = [
    ['events', `${options.events} of ${options.persons} people`],
    ['posted by', `${options.clients} clients, ${options.batch} events at once`],
    ['all answered', `${seconds(result.answeredMs)}, ${perSecond(result.answeredMs)} events/s`],
    ['all are rows', `${seconds(result.rowsMs)}, ${perSecond(result.rowsMs)} events/s`],
    ['answered 503', `${result.retries} requests`],
    ['persons', `${result.persons} with ${result.distinctIds} distinct ids, ${result.merges} merged away`],
    ['overrides', `${result.rowsOverridden} rows are led to another person than they were written with`],
    [
      'held',
      `${released.person} released by a person, ${released.time} by time, ${released.memory} by memory`,
    ],
    ['redone', `${result.redone} persons' work`],
    ['books', JSON.stringify(result.books)],
  ];
  for (const [name = '', value = ''] of facts)
    process.stdout.write(`${paint('dim', name.padEnd(14))}${value}\n`);
  process.stdout.write(`\nMemory after a collection, MiB\n${table([{ ...memory }], paint)}`);
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
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const options: MergesOptions = {
    events: Number(values.events),
    persons: Number(values.persons),
    clients: Number(values.clients),
    batch: Number(values.batch),
    seed: Number(values.seed),
    onProgress: (line) => void process.stderr.write(`${line}\n`),
  };
  const result = await merges(options);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else print(options, result);
  process.exitCode = result.problems.length === 0 ? 0 : 1;
}
