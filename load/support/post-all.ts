/** Posts events with many clients at once, and waits until they are rows. */
import { sleep, systemClock } from '../../src/clock.ts';
import { Client, type LoadEvent } from './client.ts';
import { countRows } from './proof.ts';
import type { System } from './system.ts';

export interface PostOptions {
  readonly clients: number;
  /** Events of one request. */
  readonly batch: number;
  /** How many events ClickHouse has to have in the end. */
  readonly rowsInAll: number;
  /** Time for that. */
  readonly rowsMsMax: number;
  readonly onProgress: (line: string) => void;
}

export interface PostResult {
  /** From the first request until the last answer. */
  readonly answeredMs: number;
  /** From the first request until every event has its row. */
  readonly rowsMs: number;
  /** Requests that were answered 503 and posted again. */
  readonly retries: number;
}

const ROWS_POLL_MS = 50;

/** Rejects when a request is refused, and when the rows are not there in time. */
export async function postAll(
  system: System,
  events: readonly LoadEvent[],
  { clients, batch, rowsInAll, rowsMsMax, onProgress }: PostOptions,
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
    if (elapsedMs() > rowsMsMax) throw new Error(`after ${elapsedMs()} ms ${uuids} events are rows`);
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
