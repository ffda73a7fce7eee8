/** More bytes in flight than the door takes: clients that send most of a large body, and never its end. */
import { connect, type Socket } from 'node:net';
import { sleep, systemClock } from '../../src/clock.ts';
import { LIMITS } from '../../src/limits.ts';
import { DEV_PROJECT } from '../../src/storage/postgres/projects.ts';

const { bytesInFlightMax, bodyBytesMax } = LIMITS.capture;
const CLIENTS = Math.ceil(bytesInFlightMax / bodyBytesMax) + 1;
const TIMEOUT_MS = 120_000;
const POLL_MS = 50;

/** Resolves once somebody was refused for it, and a good request is taken when it is over; rejects otherwise. */
export async function overload(captureUrl: string): Promise<void> {
  const port = Number(new URL(captureUrl).port);
  const holders = Array.from({ length: CLIENTS }, () => new Holder(port));
  const deadline = systemClock.monotonic() + TIMEOUT_MS;
  try {
    // Whoever is refused gives back what it held, and others may be taken in its place.
    while (!holders.some(({ isRefused }) => isRefused)) {
      if (systemClock.monotonic() > deadline)
        throw new Error('too many bytes in flight, and nobody was refused');
      await sleep(systemClock, POLL_MS);
    }
  } finally {
    for (const holder of holders) holder.close();
  }
  while ((await postOne(captureUrl)) !== 200) {
    if (systemClock.monotonic() > deadline) throw new Error('the door refuses events although it is idle');
    await sleep(systemClock, POLL_MS);
  }
}

class Holder {
  isRefused = false;
  readonly #socket: Socket;

  constructor(port: number) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (chunk.includes(' 503 ')) this.isRefused = true;
    });
    socket.write(`POST /batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bodyBytesMax}\r\n\r\n`);
    socket.write(Buffer.alloc(bodyBytesMax - 1, 0x20));
    this.#socket = socket;
  }

  close(): void {
    this.#socket.resetAndDestroy();
  }
}

async function postOne(captureUrl: string): Promise<number> {
  const body = JSON.stringify({ api_key: DEV_PROJECT.token, event: 'afterwards', distinct_id: 'overload' });
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(`${captureUrl}/e`, { method: 'POST', body, signal });
  await response.text();
  return response.status;
}
