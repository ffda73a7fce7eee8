/** Addresses that a server listens on, as people and programs use them. */
import { createServer, isIPv6 } from 'node:net';

/** The URL by which this machine reaches a server that listens on `host`. */
export function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`;
}

/** The names of the settings that an address came from, for errors. */
export interface AddressSettings {
  readonly host: string;
  readonly port: string;
}

/**
 * Rejects with one clear line when nobody can listen there. Asked before anything is started: later it would be
 * after seconds, and the capture server could share the port with whoever has it.
 */
export async function assertFree(host: string, port: number, settings: AddressSettings): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  const error = await new Promise<Error | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => resolve(undefined));
  });
  await new Promise((resolve) => server.close(resolve));
  if (error) throw new Error(listenProblem(error, host, port, settings));
}

function listenProblem(error: Error, host: string, port: number, settings: AddressSettings): string {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return `port ${port} on ${host} is in use: stop what uses it, or set ${settings.port} to another port`;
  }
  if (code === 'EACCES') {
    return `port ${port} on ${host} is not allowed for this user: set ${settings.port} to one above 1023`;
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `${host} is no address of this machine: set ${settings.host} to one, such as 127.0.0.1`;
  }
  return `cannot listen on ${host}:${port} (${settings.host}, ${settings.port}): ${error.message}`;
}
