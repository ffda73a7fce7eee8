/**
 * A client that behaves well, in a process of its own: `good-client.ts URL RATE` posts so many events a second until its
 * parent says stop, whether answers come or not, and tells how long each took from the moment at which it was due, from
 * when its parent says measure.
 */
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { sleep, systemClock } from '../../src/clock.ts';
import { DEV_PROJECT } from '../../src/storage/postgres/projects.ts';

export interface GoodReport {
  readonly sent: number;
  readonly acknowledged: readonly string[];
  /** Of those since it was told to measure, in milliseconds. */
  readonly latencies: readonly number[];
  /** Other answers, and requests without one, with their counts. */
  readonly others: Readonly<Record<string, number>>;
}

const [url = '', rate] = process.argv.slice(2);
const everyMs = 1_000 / Number(rate);
const CONNECTIONS = 20;
const TIMEOUT_MS = 30_000;

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
const acknowledged: string[] = [];
const latencies: number[] = [];
const others: Record<string, number> = {};
let sent = 0;
let isStopped = false;
process.on('message', (word) => {
  if (word === 'stop') isStopped = true;
  // What came before does not count.
  else latencies.length = 0;
});

function post(uuid: string): Promise<string> {
  const distinct_id = `good-${sent % 20}`;
  const properties = { $device_id: distinct_id, note: 'x'.repeat(300) };
  const body = JSON.stringify({
    api_key: DEV_PROJECT.token,
    uuid,
    event: 'went well',
    distinct_id,
    properties,
  });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve) => {
    const asked = request(
      `${url}/i/v0/e`,
      { method: 'POST', agent, headers, timeout: TIMEOUT_MS },
      (response) => {
        response.on('error', () => resolve('no answer'));
        response.on('end', () => resolve(String(response.statusCode)));
        response.resume();
      },
    );
    asked.on('timeout', () => asked.destroy());
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'no answer'));
    asked.end(body);
  });
}

async function once(dueMs: number): Promise<void> {
  const uuid = randomUUID();
  sent++;
  const outcome = await post(uuid);
  if (outcome !== '200') {
    others[outcome] = (others[outcome] ?? 0) + 1;
    return;
  }
  acknowledged.push(uuid);
  latencies.push(systemClock.monotonic() - dueMs);
}

const open = new Set<Promise<void>>();
for (let due = systemClock.monotonic(); !isStopped; due += everyMs) {
  await sleep(systemClock, Math.max(0, due - systemClock.monotonic()));
  const asked = once(due).finally(() => open.delete(asked));
  open.add(asked);
}
await Promise.all(open);
const report: GoodReport = { sent, acknowledged, latencies, others };
process.send?.(report, () => process.exit(0));
