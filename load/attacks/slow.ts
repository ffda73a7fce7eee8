/** Clients that take their time. */
import type { Socket } from 'node:net';
import { sleep, systemClock } from '../../src/clock.ts';
import type { Attack, Target } from './attack.ts';
import { open, post, statusesOf } from './wire.ts';

const MIB = 1024 * 1024;
const DRIP_EVERY_MS = 500;

interface Drip {
  readonly connections: number;
  /** Sent at once. */
  readonly head: Buffer;
  /** Sent every half a second, again and again. */
  readonly drop: Buffer;
}

/** Whoever is cut off comes back. */
async function drip(target: Target, { connections, head, drop }: Drip): Promise<void> {
  const side = async (): Promise<void> => {
    while (!target.isOver()) {
      const socket = await open(target);
      if (socket === undefined) target.note('not taken');
      else await dripInto(target, socket, head, drop);
      await sleep(systemClock, 100);
    }
  };
  await Promise.all(Array.from({ length: connections }, side));
}

async function dripInto(target: Target, socket: Socket, head: Buffer, drop: Buffer): Promise<void> {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.write(head);
  while (!socket.destroyed && !target.isOver()) {
    await sleep(systemClock, DRIP_EVERY_MS);
    socket.write(drop);
  }
  target.note(statusesOf(text)[0] ?? (socket.destroyed ? 'cut off' : 'still there'));
  socket.destroy();
}

/** The library looks at its timeouts every four seconds. */
const CUT_AFTER_SECONDS = 16;

export const SLOW: readonly Attack[] = [
  {
    name: 'slow-headers',
    does: '500 connections whose headers never end, one byte every half a second',
    secondsMin: CUT_AFTER_SECONDS,
    run: (target) =>
      drip(target, {
        connections: 500,
        head: Buffer.from('POST /i/v0/e HTTP/1.1\r\nHost: attacked\r\nX-Slow: '),
        drop: Buffer.from('x'),
      }),
    needs: ['cut off'],
    allows: ['still there', '431'],
  },
  {
    name: 'slow-bodies',
    does: '500 bodies of 1 MB at 100 bytes a second',
    secondsMin: CUT_AFTER_SECONDS,
    run: (target) =>
      drip(target, {
        connections: 500,
        head: post('/i/v0/e', Buffer.alloc(MIB, ' ')).subarray(0, 1_000),
        drop: Buffer.alloc(50, ' '),
      }),
    needs: ['cut off'],
    allows: ['still there', '503'],
  },
  {
    name: 'large-bodies-held',
    does: '12 bodies of 19 MB that come at once but for their last bytes, which come at 40 KB a second',
    secondsMin: 5,
    run: (target) =>
      drip(target, {
        connections: 12,
        head: post('/i/v0/e', Buffer.alloc(19 * MIB, ' ')).subarray(0, 14 * MIB),
        drop: Buffer.alloc(20 * 1024, ' '),
      }),
    // Past the bytes in flight there is no room for them, whether they say so at the start or not.
    needs: ['503'],
    allows: ['still there', 'cut off'],
  },
  {
    name: 'never-reads',
    does: '600 clients that ask for a script of 700 KB, or for 50 answers at once, and read nothing',
    run: neverRead,
    needs: ['unread'],
    allows: ['cut off'],
  },
];

async function neverRead(target: Target): Promise<void> {
  const once = async (turn: number): Promise<void> => {
    const socket = await open(target);
    if (socket === undefined) return target.note('cut off');
    socket.pause();
    if (turn % 2 === 0) socket.write('GET /static/array.full.js HTTP/1.1\r\nHost: attacked\r\n\r\n');
    else socket.write('GET /nowhere HTTP/1.1\r\nHost: attacked\r\n\r\n'.repeat(50));
    for (let i = 0; i < 20 && !target.isOver(); i++) await sleep(systemClock, DRIP_EVERY_MS);
    target.note(socket.destroyed ? 'cut off' : 'unread');
    socket.destroy();
  };
  let turn = 0;
  const side = async (): Promise<void> => {
    while (!target.isOver()) await once(turn++);
  };
  await Promise.all(Array.from({ length: 600 }, side));
}
