/** Connections: too much on one of them, too many of them, or gone in the middle. */
import type { Socket } from 'node:net';
import { sleep, systemClock } from '../../src/clock.ts';
import type { Attack, Target } from './attack.ts';
import { ask, event, open, post, repeat } from './wire.ts';

const PIPELINED = 1_000;

/** Questions that are answered at once all get their answers, in order. */
async function pipelineQuestions(target: Target): Promise<void> {
  const pair =
    'GET /array/phc_x/config HTTP/1.1\r\nHost: a\r\n\r\nGET /array/!/config HTTP/1.1\r\nHost: a\r\n\r\n';
  const { statuses, isClosed } = await ask(target, [pair.repeat(PIPELINED / 2)], PIPELINED);
  // Where a first line happens to come in two segments, the library answers 505 and ends the connection.
  const isTorn = isClosed && statuses.at(-1) === '505';
  const answered = isTorn ? statuses.slice(0, -1) : statuses;
  const isInOrder = answered.every((status, index) => status === (index % 2 === 0 ? '200' : '400'));
  if (!isInOrder) target.note('out of order');
  else if (isTorn) target.note('answered in order, then 505 for a torn first line');
  // The library ends a connection whose answers are read more slowly than its questions come.
  else target.note(statuses.length === PIPELINED ? 'all answered in order' : 'answered in order, then ended');
}

/** The library ends a connection that does not wait until an event is durable: no answer may be a wrong one. */
async function pipelineEvents(target: Target): Promise<void> {
  const events = Array.from({ length: PIPELINED }, () => event(target));
  const requests = events.map(({ text }) => post('/i/v0/e', text));
  const { statuses, isClosed } = await ask(target, [Buffer.concat(requests)], PIPELINED);
  for (const [index, status] of statuses.entries()) {
    if (status === '200') target.acknowledge(events[index]?.uuid ?? '');
    else target.note(status);
  }
  target.note(isClosed ? 'events: connection ended' : `events: ${statuses.length} answered`);
}

/** Nobody listens. */
async function pipelineUnread(target: Target): Promise<void> {
  const socket = await open(target);
  if (socket === undefined) return;
  socket.pause();
  socket.write('GET /nowhere HTTP/1.1\r\nHost: attacked\r\n\r\n'.repeat(PIPELINED));
  await sleep(systemClock, 1_000);
  target.note(socket.destroyed ? 'unread: connection ended' : 'unread: it waits');
  socket.destroy();
}

const MOMENTS = ['request line', 'headers', 'body', 'before the answer', 'while it is answered'] as const;

async function abort(target: Target, turn: number): Promise<void> {
  const moment = MOMENTS[turn % MOMENTS.length] ?? 'body';
  const request =
    moment === 'while it is answered'
      ? Buffer.from('GET /static/array.full.js HTTP/1.1\r\nHost: attacked\r\n\r\n')
      : post('/i/v0/e', event(target, `{"x":"${'x'.repeat(2_000)}"}`).text);
  const bodyAt = request.indexOf('\r\n\r\n') + 4;
  const lineEnd = request.indexOf('\r\n');
  const ends = {
    'request line': [1, lineEnd],
    headers: [lineEnd, bodyAt],
    body: [bodyAt, request.length],
  } as const;
  const [from, to] = moment in ends ? ends[moment as keyof typeof ends] : [request.length, request.length];
  const socket = await open(target);
  if (socket === undefined) return target.note('not taken');
  const heard = new Promise((resolve) => socket.once('data', resolve));
  socket.write(request.subarray(0, from + Math.floor(Math.random() * (to - from))));
  if (moment === 'while it is answered') await Promise.race([heard, sleep(systemClock, 5_000)]);
  else await sleep(systemClock, Math.random() * 4);
  if (turn % 2 === 0) socket.resetAndDestroy();
  else socket.destroy();
  target.note(`left: ${moment}`);
}

/** As many as it takes; those that are ended are opened again. */
async function hold(target: Target, count: number): Promise<void> {
  const held = new Set<Socket>();
  let most = 0;
  const fill = async (): Promise<void> => {
    while (!target.isOver()) {
      if (held.size >= count) {
        await sleep(systemClock, 50);
        continue;
      }
      const socket = await open(target);
      if (socket === undefined) {
        target.note('not taken');
        await sleep(systemClock, 100);
        continue;
      }
      held.add(socket);
      most = Math.max(most, held.size);
      socket.once('close', () => {
        held.delete(socket);
        target.note('ended by the system');
      });
    }
  };
  await Promise.all(Array.from({ length: 50 }, fill));
  for (let i = 0; i < most; i++) target.note('at once');
  for (const socket of held) {
    socket.removeAllListeners('close');
    socket.destroy();
  }
}

const IDLE = 10_000;
/** More than `LIMITS.capture.connectionsMax`. */
const TOO_MANY = 13_000;

export const CONNECTIONS: readonly Attack[] = [
  {
    name: 'pipelining',
    does: '1,000 requests on one connection: questions, events, and without reading the answers',
    run: (target) =>
      repeat(target, 6, (turn) => {
        const kinds = [pipelineQuestions, pipelineEvents, pipelineUnread];
        return (kinds[turn % kinds.length] ?? pipelineQuestions)(target);
      }),
    secondsMin: 5,
    needs: ['all answered in order', 'events: connection ended'],
    allows: [
      'answered in order, then ended',
      'answered in order, then 505 for a torn first line',
      'unread: connection ended',
      'unread: it waits',
    ],
  },
  {
    name: 'aborts',
    does: 'clients that leave in the request line, the headers, the body, before and while they are answered',
    run: (target) => repeat(target, 20, (turn) => abort(target, turn)),
    needs: MOMENTS.map((moment) => `left: ${moment}`),
    allows: [],
  },
  {
    name: 'idle-connections',
    does: `${IDLE.toLocaleString('en')} connections that send nothing`,
    run: (target) => hold(target, IDLE),
    needs: ['at once'],
    allows: ['not taken', 'ended by the system'],
  },
  {
    name: 'too-many-connections',
    does: `${TOO_MANY.toLocaleString('en')} connections, more than are kept`,
    secondsMin: 10,
    refusesOthers: true,
    run: (target) => hold(target, TOO_MANY),
    needs: ['at once', 'ended by the system'],
    allows: ['not taken'],
  },
];
