/** Ports for what tests start. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const HOST = '127.0.0.1';
const PORTS = { first: 20_000, last: 29_999, tries: 100 } as const;
/** Those that were given to somebody in this process. */
const given = new Set<number>();

/**
 * Nobody listens there. Below the ports that the system gives to clients: nobody takes it before its server starts, or
 * while it is down. Never the same one twice.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS.tries; tries += 1) {
    const port = randomInt(PORTS.first, PORTS.last + 1);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port from ${PORTS.first} to ${PORTS.last} on ${HOST}`);
}

export function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
