/** A capture server on a free port, with a log that can be told how to behave, and clients down to raw bytes. */

import { connect } from 'node:net';
import { type CaptureOptions, startCapture } from '../../src/capture/server.ts';
import { systemClock } from '../../src/clock.ts';
import type { CapturedEvent } from '../../src/event/captured.ts';
import { asEventUuid, asTeamId, asToken } from '../../src/event/ids.ts';
import { UNRESTRICTED } from '../../src/event/restriction.ts';
import { silentLogger } from '../../src/logger.ts';
import { Metrics } from '../../src/metrics.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import type { Team, TeamStore } from '../../src/storage/team-store.ts';

export const TOKEN = 'phc_tributary_dev';
/** What the server's wall clock says. */
export const NOW = Date.parse('2026-11-22T12:00:00.000Z');

export const TEAM: Team = {
  id: asTeamId(1),
  token: asToken(TOKEN),
  name: 'test',
  anonymizeIps: false,
  personProcessingOptOut: false,
  restrictions: UNRESTRICTED,
};

/** Knows one project, at once. */
export const teams: TeamStore = {
  byToken: async (token) => (token === TOKEN ? TEAM : undefined),
  cached: (token) => (token === TOKEN ? TEAM : undefined),
};

export interface Appended extends CapturedEvent {
  readonly record: AppendRecord;
}

/** Keeps what is appended; `gate` is awaited before each append is done. */
export class RecordingLog {
  readonly batches: (readonly AppendRecord[])[] = [];
  gate: () => Promise<void> = async () => {};

  async append(records: readonly AppendRecord[]) {
    this.batches.push(records);
    await this.gate();
    return records.map((_, offset) => ({ partition: 0, offset }));
  }

  events(): Appended[] {
    return this.batches.flat().map((record) => ({ ...JSON.parse(text(record.value)), record }));
  }
}

const text = (value: Uint8Array | string) => Buffer.from(value).toString();

interface Ends {
  teardown(run: () => Promise<void>): void;
}

export async function capture(t: Ends, overrides: Partial<CaptureOptions> = {}) {
  const log = new RecordingLog();
  let uuids = 0;
  const server = await startCapture({
    host: '127.0.0.1',
    port: 0,
    log,
    teams,
    clock: { ...systemClock, now: () => NOW },
    newUuid: () => asEventUuid(`00000000-0000-7000-8000-${String(++uuids).padStart(12, '0')}`),
    trustedProxies: ['127.0.0.0/8', '::1'],
    metrics: new Metrics(),
    logger: silentLogger,
    ...overrides,
  });
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${server.port}`;
  return {
    server,
    log,
    url,
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      post(url + path, body, headers),
    raw: (...parts: readonly (string | Buffer)[]) => raw(server.port, parts),
  };
}

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** `body`: bytes or text as they are, anything else as JSON. */
export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const sent = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const response = await fetch(url, { method: 'POST', body: sent, headers });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const PART_GAP_MS = 20;
const QUIET_MS = 500;

export interface RawReply {
  readonly text: string;
  /** How the connection stood when nothing more had come for half a second. */
  readonly end: 'open' | 'closed';
}

/** Writes the parts one after the other, each a TCP segment of its own, and reads until it is quiet. */
export function raw(
  port: number,
  parts: readonly (string | Buffer)[],
  quietMs = QUIET_MS,
): Promise<RawReply> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    let timer: NodeJS.Timeout | undefined;
    let isDone = false;
    const finish = (end: 'open' | 'closed') => {
      isDone = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: received, end });
    };
    const listen = () => {
      clearTimeout(timer);
      if (isDone) return;
      // In two halves: had the process no turn for that long, what came meanwhile is read in between.
      timer = setTimeout(() => {
        timer = setTimeout(() => finish('open'), quietMs / 2);
      }, quietMs / 2);
    };
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      received += chunk.toString();
      listen();
    });
    socket.on('error', () => {});
    socket.on('close', () => finish('closed'));
    void (async () => {
      for (const part of parts) {
        socket.write(part);
        await pause(PART_GAP_MS);
      }
      listen();
    })();
  });
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Waits until `holds`, at most a minute: the machine may be busy with other things. */
export async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 6_000; i++) {
    if (holds()) return;
    await pause(10);
  }
  throw new Error(`still not so after a minute: ${holds}`);
}

/** The bytes of a POST, with the headers given. */
export function rawPost(path: string, body: string, headers: readonly string[] = []): string {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  return [`POST ${path} HTTP/1.1`, 'Host: localhost', length, ...headers, '', body].join('\r\n');
}

export const event = (fields: Record<string, unknown> = {}) => ({
  api_key: TOKEN,
  event: 'signup',
  distinct_id: 'ann',
  properties: { plan: 'free' },
  ...fields,
});
