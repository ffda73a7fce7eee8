/** Capture, from the socket to the log's door, against a route that parses JSON. Each server is a process of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Parts } from '../src/parts.ts';
import type { Benchmark, Contest, Cost, Side } from './benchmark.ts';

const REQUESTS = 30_000;

export const capture: Benchmark = {
  name: 'capture',
  floor: 'uWebSockets.js route: read the body, JSON.parse, 200',
  unit: 'µs',
  eventsPerRound: REQUESTS,
  rounds: 7,
  start: startContest,
};

/** What `capture-server.ts` is told: `begin` and `end` enclose what is measured, and `end` is answered with the cost. */
export type ServerOrder = 'begin' | 'end';

/** What `capture-client.ts` is told; it answers when all requests were answered. */
export interface ClientOrder {
  readonly port: number;
  readonly requests: number;
}

async function startContest(parts: Parts): Promise<Contest> {
  const client = await startProcess(parts, 'capture-client.ts');
  const load = async (side: Side) => {
    const server = await startProcess(parts, 'capture-server.ts', side);
    const { port } = await answerOf<{ port: number }>(server);
    return async (): Promise<Cost> => {
      await ask(server, 'begin' satisfies ServerOrder);
      await ask(client, { port, requests: REQUESTS } satisfies ClientOrder);
      return ask<Cost>(server, 'end' satisfies ServerOrder);
    };
  };
  return { ours: await load('ours'), floor: await load('floor') };
}

/** Node's own options (gc, tsx, a profiler) are passed on. */
function startProcess(parts: Parts, file: string, ...args: readonly string[]): Promise<ChildProcess> {
  return parts.start(
    file,
    async () => fork(join(import.meta.dirname, file), args),
    async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.disconnect();
      await once(child, 'exit');
    },
  );
}

function ask<Answer>(child: ChildProcess, order: ServerOrder | ClientOrder): Promise<Answer> {
  const answer = answerOf<Answer>(child);
  child.send(order);
  return answer;
}

/** The next message; rejects when the process ends before it. */
function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`${child.spawnfile} ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (answer: Answer) => {
      child.off('exit', onExit);
      resolve(answer);
    });
  });
}
