/** Runs an application with a server-side SDK as a child process, and hears which events the SDK has made. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pythonWithSdk } from '../../tools/python-sdk.ts';
import { ROOT } from '../system/harness.ts';
import type { Made } from './site.ts';

export interface ApplicationOptions {
  readonly token: string;
  readonly host: string;
  /** Of its user. */
  readonly name: string;
  /** Purchases. */
  readonly events: number;
  /** Between two purchases. */
  readonly pause_s?: number;
  /** Events of one request. */
  readonly flush_at?: number;
  /** Of the SDK's constructor. */
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Ran {
  readonly made: readonly Made[];
  /** What the SDK has to complain about. */
  readonly errors: readonly string[];
}

/** `onMade`: so many events have been made so far. */
export async function runPython(options: ApplicationOptions, onMade?: (count: number) => void): Promise<Ran> {
  const script = join(ROOT, 'test', 'clients', 'application.py');
  return run(await pythonWithSdk(), [script, JSON.stringify(options)], onMade);
}

async function run(program: string, args: readonly string[], onMade?: (count: number) => void): Promise<Ran> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const made: Made[] = [];
  const errors: string[] = [];
  createInterface(child.stdout).on('line', (text) => {
    const line: Made | { readonly errors: readonly string[] } = JSON.parse(text);
    if ('errors' in line) return void errors.push(...line.errors);
    made.push(line);
    onMade?.(made.length);
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) errors.push(`it ended with ${code}`);
  return { made, errors: said === '' ? errors : [...errors, said] };
}
