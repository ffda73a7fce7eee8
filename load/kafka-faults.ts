/**
 * One fault on a real Kafka, with the whole system as several processes under load: what happens to every event.
 *
 *     npm run faults -- NAME [--times N] [--rate N] [--patience N] [--json]
 *
 * Without a name it lists them. `--rate`: events per second of all clients. `--patience`: how many times longer than
 * promised things may take, on a machine that has more to do. Starts a broker, a Postgres, capture, two workers and a
 * loader of its own. Exits with 1 if something is not as it must be, and keeps the data then.
 */
import { parseArgs } from 'node:util';
import { paintFor } from '../src/cli/terminal.ts';
import { joinAndLeave } from './kafka-faults/join-leave.ts';
import { killBroker } from './kafka-faults/kill-broker.ts';
import { killWorker } from './kafka-faults/kill-worker.ts';
import { lostProgress } from './kafka-faults/lost-progress.ts';
import { rollingRestart } from './kafka-faults/rolling-restart.ts';
import { STOP_MOMENTS, stopWorker } from './kafka-faults/stop-worker.ts';
import { clickHouseAway, killPostgres } from './kafka-faults/stores-away.ts';
import type { FaultOptions, FaultResult } from './support/scene.ts';

interface Fault {
  readonly what: string;
  /** How often, if nobody says otherwise. */
  readonly times: number;
  run(options: FaultOptions, times: number): Promise<FaultResult>;
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'kill-worker': {
    what: 'kill -9 to one of two workers, events held',
    times: 30,
    run: (options, kills) => killWorker({ ...options, kills }),
  },
  'stop-worker': {
    what: 'SIGSTOP for 14 s, also inside a transaction, then SIGCONT',
    times: 3,
    run: (options, times) =>
      stopWorker({ ...options, moments: Array.from({ length: times }, () => STOP_MOMENTS).flat() }),
  },
  'join-leave': {
    what: 'a third worker joins, stays for 5 s, leaves, and comes again after 5 s',
    times: 6,
    run: (options, times) => joinAndLeave({ ...options, times }),
  },
  'kill-broker': {
    what: 'kill -9 to the broker, 10 s without it',
    times: 5,
    run: (options, kills) => killBroker({ ...options, kills, downSeconds: 10 }),
  },
  'kill-postgres': {
    what: 'kill -9 to Postgres, 5 s without it',
    times: 5,
    run: (options, times) => killPostgres({ ...options, times, downSeconds: 5 }),
  },
  'clickhouse-away': {
    what: 'a minute without ClickHouse',
    times: 1,
    run: (options, times) => clickHouseAway({ ...options, times, downSeconds: 60 }),
  },
  'lost-progress': {
    what: 'saved progress is damaged, retention passes it, the topic is made anew',
    times: 1,
    run: (options) => lostProgress(options),
  },
  'rolling-restart': {
    what: 'both workers restart one after the other, events held for 20 s',
    times: 3,
    run: (options, rounds) => rollingRestart({ ...options, rounds, holdSeconds: 20 }),
  },
};

const { values, positionals } = parseArgs({
  options: {
    times: { type: 'string' },
    rate: { type: 'string' },
    patience: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const [name = ''] = positionals;
const fault = FAULTS[name];
if (fault === undefined) {
  const width = Math.max(...Object.keys(FAULTS).map(({ length }) => length));
  process.stdout.write('Usage: npm run faults -- NAME [--times N] [--rate N] [--patience N] [--json]\n\n');
  for (const [each, { what, times }] of Object.entries(FAULTS)) {
    process.stdout.write(`  ${each.padEnd(width)}  ${what} (--times ${times})\n`);
  }
  process.exitCode = name === '' ? 0 : 1;
} else {
  const times = Number(values.times ?? fault.times);
  const onProgress = (line: string) => void process.stderr.write(`${line}\n`);
  const eventsPerSecond = values.rate === undefined ? undefined : Number(values.rate);
  const result = await fault.run({ onProgress, eventsPerSecond, patience: Number(values.patience) }, times);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else print(result);
  process.exitCode = result.problems.length === 0 ? 0 : 1;
}

function print({ facts, problems, folders }: FaultResult): void {
  const paint = paintFor(process.stdout);
  const width = Math.max(...Object.keys(facts).map(({ length }) => length)) + 2;
  process.stdout.write('\n');
  for (const [name, value] of Object.entries(facts))
    process.stdout.write(`${paint('dim', name.padEnd(width))}${value}\n`);
  process.stdout.write(problems.length === 0 ? '\nNothing was lost, and nothing was folded twice.\n' : '\n');
  for (const line of problems) process.stdout.write(`${paint('red', 'PROBLEM')} ${line}\n`);
  for (const folder of folders) process.stdout.write(`${paint('yellow', 'kept')}    ${folder}\n`);
}
