/** A child process whose CPU time its parent has taken: what the parent calls, and what the child does. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Parts } from '../src/parts.ts';
import type { Cost } from './benchmark.ts';

type Order = 'begin' | 'end';

export interface MeasuredChild<Ready = object> {
  /** What it said when it was up. */
  readonly ready: Ready;
  begin(): Promise<void>;
  /** What it took since `begin`. */
  end(): Promise<Cost>;
}

/** For the child: says that it is up, and obeys until the parent has gone, which ends the process. */
export function obey<Ready extends object>(
  ready: Ready,
  {
    onBegin = () => {},
    onEnd = () => {},
  }: { readonly onBegin?: () => void; readonly onEnd?: () => void } = {},
): void {
  let before = process.cpuUsage();
  process.on('message', (order: Order) => {
    if (order === 'begin') {
      globalThis.gc?.();
      before = process.cpuUsage();
      onBegin();
      process.send?.({});
    } else {
      const { user, system } = process.cpuUsage(before);
      onEnd();
      process.send?.({ total: user + system } satisfies Cost);
    }
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.(ready);
}

/** For the parent. `file`: a program of this folder that calls `obey`. */
export async function startMeasuredChild<Ready = object>(
  parts: Parts,
  file: string,
  ...args: readonly string[]
): Promise<MeasuredChild<Ready>> {
  const child = await startChild(parts, file, ...args);
  const ready = await answerOf<Ready>(child);
  return {
    ready,
    async begin() {
      await ask(child, 'begin' satisfies Order);
    },
    end: () => ask<Cost>(child, 'end' satisfies Order),
  };
}

/** Node's own options (gc, tsx, a profiler) are passed on. */
export function startChild(parts: Parts, file: string, ...args: readonly string[]): Promise<ChildProcess> {
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

/** Sends the order, and gives the answer. */
export function ask<Answer>(child: ChildProcess, order: string | object): Promise<Answer> {
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
