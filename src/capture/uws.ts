/** Loads uWebSockets.js. The only file that imports it. */

import type { HttpRequest, HttpResponse, us_listen_socket, us_socket } from 'uWebSockets.js';
import { createRequire } from 'node:module';

export type { HttpRequest, HttpResponse, us_listen_socket } from 'uWebSockets.js';

/** What is used of the library; its own types know only three of the arguments of `listen`. */
export interface Uws {
  App(): UwsApp;
  us_listen_socket_close(socket: us_listen_socket): void;
  us_socket_local_port(socket: us_socket): number;
}

export interface UwsApp {
  any(path: string, handler: (res: HttpResponse, req: HttpRequest) => void): unknown;
  /** `done` gets `false` when it cannot listen there. */
  listen(
    host: string,
    port: number,
    options: number,
    done: (socket: us_listen_socket | false) => void,
  ): unknown;
  /** `change`: 1 when a connection has come, -1 when it has gone. */
  filter(handler: (res: HttpResponse, change: number) => void): UwsApp;
  /** Ends every connection. */
  close(): unknown;
}

/** For `listen`: without it a second server could listen on the same port and share its connections. */
export const EXCLUSIVE_PORT = 1;

/** Throws one line that says what this machine lacks. */
export function loadUws(headersBytesMax: number): Uws {
  // Read by the library when it loads, and only from there. Its own limit, 4 KB, is less than some cookies.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = String(headersBytesMax);
  try {
    return createRequire(import.meta.url)('uWebSockets.js');
  } catch (error) {
    throw new Error(loadProblem(String(error), process.version, glibcVersion()));
  }
}

/** `glibc`: this machine's version, `undefined` where there is none. */
export function loadProblem(message: string, nodeVersion: string, glibc: string | undefined): string {
  const needed =
    'on Linux, Node 20 needs glibc 2.27 or newer, and Node 22 and newer need glibc 2.38 (Debian 13, Ubuntu 24.04)';
  const here = `here is Node ${nodeVersion.replace(/^v/, '')}`;
  if (message.includes('GLIBC_')) {
    return `uWebSockets.js does not load: ${needed}; ${here} with glibc ${glibc ?? 'of an unknown version'}. Use Node 20 or a newer system.`;
  }
  if (process.platform === 'linux' && glibc === undefined) {
    return `uWebSockets.js does not load: it needs glibc, and this system has another C library (Alpine has musl); ${needed}.`;
  }
  const cause = message.replace(/\s+/g, ' ').slice(0, 300);
  return `uWebSockets.js does not load: ${cause} (${needed}; ${here}). Run npm install again, or use Node 20.`;
}

function glibcVersion(): string | undefined {
  const report: unknown = process.report.getReport();
  const header =
    typeof report === 'object' && report !== null && 'header' in report ? report.header : undefined;
  if (typeof header !== 'object' || header === null || !('glibcVersionRuntime' in header)) return undefined;
  return typeof header.glibcVersionRuntime === 'string' ? header.glibcVersionRuntime : undefined;
}
