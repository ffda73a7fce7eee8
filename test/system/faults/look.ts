/** What the process says about itself while something is broken. */
import { readFile } from 'node:fs/promises';
import { type LogLine, type TestSystem, until } from '../harness.ts';

export interface Said {
  readonly status: number;
  readonly text: string;
}

export async function ask(system: TestSystem, path: '/_ready' | '/_health'): Promise<Said> {
  const response = await fetch(system.consoleUrl + path);
  return { status: response.status, text: await response.text() };
}

/** Waits until `/_ready` answers 503 with these words. */
export function notReady(system: TestSystem, words: RegExp): Promise<Said> {
  return look(system, `503 with ${words}`, ({ status, text }) => status === 503 && words.test(text));
}

/** Resolves with the milliseconds until `/_ready` answered 200. */
export async function ready(system: TestSystem): Promise<number> {
  const begun = performance.now();
  await look(system, '200', ({ status }) => status === 200);
  return Math.round(performance.now() - begun);
}

async function look(system: TestSystem, what: string, isIt: (said: Said) => boolean): Promise<Said> {
  let last: Said | undefined;
  return until(
    () => `/_ready answers ${what}: ${JSON.stringify(last)}`,
    async () => {
      last = await ask(system, '/_ready');
      return isIt(last) ? last : undefined;
    },
  );
}

/** Warnings and errors that match. */
export function complaints(system: TestSystem, words: RegExp): LogLine[] {
  return system.log.filter((line) => line.level >= 40 && words.test(JSON.stringify(line)));
}

/** Resident memory in MiB. */
export async function residentMib(system: TestSystem): Promise<number> {
  const status = await readFile(`/proc/${system.pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}
