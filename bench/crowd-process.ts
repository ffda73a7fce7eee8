/** A process with a worker, its log, and events of more and more persons: `crowd-process.ts '<CrowdOrder as JSON>'`. */
import { captureKey } from '../src/event/captured.ts';
import { asDistinctId } from '../src/event/ids.ts';
import { newEventUuid } from '../src/ids.ts';
import { silentLogger } from '../src/logger.ts';
import { Parts } from '../src/parts.ts';
import type { AppendRecord } from '../src/storage/event-log.ts';
import { openPostgres } from '../src/storage/postgres/pool.ts';
import { capturedRecord, clientEvent, TOKEN } from './events.ts';
import { type Pause, watchPauses } from './pauses.ts';
import { ROWS, startRealWorker } from './real-worker.ts';
import { recordCount, startLog, until } from './stores.ts';

export interface CrowdOrder {
  /** Of the log. */
  readonly dir: string;
  readonly databaseUrl: string;
}

/** Events that come next: one of each new person, and of persons seen before, at random. */
export interface Visits {
  readonly fresh: number;
  readonly returning: number;
}

export interface Visited {
  /** CPU time of the process, in microseconds. */
  readonly cpuUs: number;
  readonly elapsedMs: number;
  readonly pause: Pause;
  /** What is alive afterwards, in the heap and outside of it. */
  readonly memoryMiB: number;
}

const APPEND_EVENTS = 500;
/** Events that wait for their rows while more are appended. */
const AHEAD_MAX = 4_000;
const MIB = 1024 * 1024;
const ID = 'id-of-the-person';

const { dir, databaseUrl }: CrowdOrder = JSON.parse(process.argv[2] ?? '');
const parts = new Parts(silentLogger);
const log = await startLog(parts, dir);
const postgres = await parts.start(
  'connections',
  async () => openPostgres({ url: databaseUrl, logger: silentLogger }),
  (pool) => pool.close(),
);
await startRealWorker(parts, log, postgres);

const template = clientEvent({ distinctId: ID, properties: { $set: { email: `${ID}@example.com` } } });
const templateUuid: string = JSON.parse(template).uuid;
const { value: templateValue, topic, headers } = capturedRecord(template);
const templateText = Buffer.from(templateValue).toString();
let seen = 0;

function recordOf(person: number): AppendRecord {
  const distinctId = asDistinctId(`person-${person}`);
  const value = templateText.replaceAll(ID, distinctId).replaceAll(templateUuid, newEventUuid());
  const key = captureKey(TOKEN, distinctId);
  return { topic, key, headers, value, timestamp: Date.now() };
}

async function take({ fresh, returning }: Visits): Promise<Visited> {
  globalThis.gc?.();
  const pauses = watchPauses();
  const before = { cpu: process.cpuUsage(), ms: performance.now(), rows: await recordCount(log, ROWS) };
  const known = seen;
  const events = fresh + returning;
  for (let sent = 0; sent < events; sent += APPEND_EVENTS) {
    const count = Math.min(APPEND_EVENTS, events - sent);
    const records = Array.from({ length: count }, (_, index) => {
      const isFresh = Math.floor(((sent + index + 1) * fresh) / events) > seen - known;
      return recordOf(isFresh ? seen++ : Math.floor(Math.random() * known));
    });
    await log.append(records);
    await until(async () => (await recordCount(log, ROWS)) >= before.rows + sent + count - AHEAD_MAX);
  }
  await until(async () => (await recordCount(log, ROWS)) >= before.rows + events);
  const { user, system } = process.cpuUsage(before.cpu);
  const elapsedMs = performance.now() - before.ms;
  const pause = pauses();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return {
    cpuUs: user + system,
    elapsedMs,
    pause,
    memoryMiB: (heapUsed + external) / MIB,
  };
}

process.on('message', (visits: Visits) => {
  void take(visits).then((visited) => process.send?.(visited));
});
process.on('disconnect', () => void parts.stop().then(() => process.exit(0)));
process.send?.({});
