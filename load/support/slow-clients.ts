/** Clients whose body comes in pieces, over seconds; every third one goes away in the middle. */
import { type ClientRequest, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { sleep, systemClock } from '../../src/clock.ts';

export interface SlowClients {
  /** Resolves when the last one has its answer, with a line for each request, as k6 writes them. */
  stop(): Promise<readonly string[]>;
}

export interface SlowOptions {
  readonly captureUrl: string;
  readonly token: string;
  readonly runId: string;
}

const CLIENTS = 6;
/** The step that no script uses. */
export const SLOW_STEP = 15;
const PIECES = 10;
const PIECE_EVERY_MS = 250;
const LEAVES_EVERY = 3;
const ANSWER_MS_MAX = 10_000;

export function startSlowClients({ captureUrl, token, runId }: SlowOptions): SlowClients {
  const lines: string[] = [];
  let next = 0;
  let isStopped = false;
  const run = async (): Promise<void> => {
    while (!isStopped) {
      const number = next++;
      const body = Buffer.from(JSON.stringify(slowEvent(token, runId, number)));
      const leaves = number % LEAVES_EVERY === LEAVES_EVERY - 1;
      lines.push(`${await postSlowly(`${captureUrl}/i/v0/e`, body, leaves)} ${SLOW_STEP} ${number} 1`);
      await sleep(systemClock, PIECE_EVERY_MS);
    }
  };
  const running = Array.from({ length: CLIENTS }, run);
  return {
    async stop() {
      isStopped = true;
      await Promise.all(running);
      return lines;
    },
  };
}

function slowEvent(token: string, runId: string, number: number): object {
  const distinct_id = `load-${runId}-slow-${number % CLIENTS}`;
  return {
    api_key: token,
    uuid: `${runId.slice(0, 8)}-${runId.slice(8)}-8000-8${hex(SLOW_STEP, 3)}-${hex(number, 12)}`,
    event: 'came slowly',
    distinct_id,
    properties: { $device_id: distinct_id, $lib: 'slow' },
  };
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** Resolves with the status; 0: there was no answer, or the client left. */
async function postSlowly(url: string, body: Buffer, leaves: boolean): Promise<number> {
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const options = { method: 'POST', headers, timeout: ANSWER_MS_MAX, agent: false } as const;
  const asked: ClientRequest = url.startsWith('https:')
    ? httpsRequest(url, options)
    : httpRequest(url, options);
  const status = new Promise<number>((resolve) => {
    asked.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(0));
    asked.on('close', () => resolve(0));
  });
  const size = Math.ceil(body.length / PIECES);
  for (let piece = 0; piece < PIECES && !asked.destroyed; piece++) {
    if (leaves && piece === PIECES / 2) {
      asked.destroy();
      return status;
    }
    asked.write(body.subarray(piece * size, (piece + 1) * size));
    await sleep(systemClock, PIECE_EVERY_MS);
  }
  asked.end();
  return status;
}
