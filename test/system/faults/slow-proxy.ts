/** A TCP proxy in front of a server, which can hold its answers back. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

export interface SlowProxy {
  /** The server's URL, by way of the proxy. */
  readonly url: string;
  /** From now on answers come so many milliseconds late; `Infinity`: those of this time never come. */
  delay(ms: number): void;
}

export async function slowProxy(t: Test, serverUrl: string): Promise<SlowProxy> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let delayMs = 0;

  const proxy = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.pipe(server);
    let lastAt = 0;
    server.on('data', (chunk) => {
      if (delayMs === Number.POSITIVE_INFINITY) return;
      // Never before what came earlier.
      lastAt = Math.max(lastAt, performance.now() + delayMs);
      setTimeout(() => client.write(chunk), lastAt - performance.now());
    });
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const { port } = proxy.address() as AddressInfo;
  const url = new URL(serverUrl);
  url.port = String(port);
  return {
    url: url.href,
    delay(ms) {
      delayMs = ms;
    },
  };
}
