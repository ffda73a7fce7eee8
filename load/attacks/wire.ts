/** Connections down to their bytes, for attackers. */
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { sleep, systemClock } from '../../src/clock.ts';
import type { Target } from './attack.ts';

export type Part = string | Buffer;

const CONNECT_MS_MAX = 10_000;
const ANSWER_MS_MAX = 30_000;
const QUIET_MS = 100;

/** `undefined`: it was not taken. */
export function open({ port }: Target): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.setTimeout(CONNECT_MS_MAX, () => socket.destroy());
    socket.on('error', () => {});
    socket.once('connect', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
    socket.once('close', () => resolve(undefined));
  });
}

export interface Heard {
  readonly text: string;
  readonly statuses: readonly string[];
  readonly isClosed: boolean;
}

/**
 * Sends the parts on a connection of its own, and listens until `answers` have come and all is quiet, or it is closed.
 */
export async function ask(target: Target, parts: Iterable<Part>, answers = 1): Promise<Heard> {
  const socket = await open(target);
  if (socket === undefined) return { text: '', statuses: [], isClosed: true };
  let text = '';
  let heardAt = systemClock.monotonic();
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    heardAt = systemClock.monotonic();
  });
  const startedAt = heardAt;
  await send(socket, parts);
  for (;;) {
    const now = systemClock.monotonic();
    const isAnswered = statusesOf(text).length >= answers && now - heardAt > QUIET_MS;
    if (socket.destroyed || isAnswered || now - startedAt > ANSWER_MS_MAX) break;
    await sleep(systemClock, 5);
  }
  const isClosed = socket.destroyed;
  socket.destroy();
  return { text, statuses: statusesOf(text), isClosed };
}

/** Waits where the other side does not read; ends when the connection has. */
export async function send(socket: Socket, parts: Iterable<Part>): Promise<void> {
  for (const part of parts) {
    if (socket.destroyed) return;
    if (socket.write(part)) continue;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.once('drain', done);
      socket.once('close', done);
    });
  }
}

export const statusesOf = (text: string): string[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status = '']) => status);

/** Asks and counts what comes back: the first status, or how it ended without one. */
export async function askAndNote(target: Target, parts: Iterable<Part>): Promise<Heard> {
  const heard = await ask(target, parts);
  const [status] = heard.statuses;
  target.note(status ?? (heard.isClosed ? 'closed' : 'silence'));
  return heard;
}

/** The same thing, from so many sides at once, until it is over; from each side once at least. */
export async function repeat(
  target: Target,
  sides: number,
  once: (turn: number) => Promise<void>,
  pauseMs = 10,
): Promise<void> {
  let turn = 0;
  const side = async (): Promise<void> => {
    do {
      await once(turn++);
      await sleep(systemClock, pauseMs);
    } while (!target.isOver());
  };
  await Promise.all(Array.from({ length: sides }, side));
}

/** A request with a body and its true length. */
export function post(path: string, body: Part, headers: readonly string[] = []): Buffer {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  const head = [`POST ${path} HTTP/1.1`, 'Host: attacked', length, ...headers, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

export interface Sent {
  readonly uuid: string;
  readonly text: string;
}

/** One event, as JSON. `properties`: JSON text. */
export function event(target: Target, properties = '{}'): Sent {
  const uuid = randomUUID();
  const fields = {
    api_key: target.token,
    uuid,
    event: 'attacked',
    distinct_id: `attacker-${uuid.slice(0, 2)}`,
  };
  return { uuid, text: `${JSON.stringify(fields).slice(0, -1)},"properties":${properties}}` };
}
