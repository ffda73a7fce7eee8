/** PostHog's Python SDK: installed once into a venv, kept in the user's cache. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const PYTHON_SDK_VERSION = '7.91.1';
const PACKAGES = [`posthog==${PYTHON_SDK_VERSION}`, 'zstandard==0.25.0'];

/** Why the SDK cannot run here, in words that follow "needs"; `undefined` when it can. */
export async function pythonMissing(): Promise<string | undefined> {
  const hasVenv = existsSync(folder()) || (await answers('python3', ['-c', 'import venv, ensurepip']));
  return hasVenv ? undefined : 'Python 3 with venv (`python3-venv`)';
}

const answers = (program: string, args: readonly string[]): Promise<boolean> =>
  run(program, args).then(
    () => true,
    () => false,
  );

/** Appears, by a rename, once all of it has been installed. */
function folder(): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(cache, 'tributary', `posthog-python-${PYTHON_SDK_VERSION}`);
}

/** The program `python` of the venv, which is made when it is not there. Rejects with what pip said. */
export async function pythonWithSdk(): Promise<string> {
  const python = join(folder(), 'bin', 'python');
  if (existsSync(folder())) return python;
  const draft = `${folder()}-${randomBytes(4).toString('hex')}`;
  await mkdir(dirname(draft), { recursive: true });
  try {
    await run('python3', ['-m', 'venv', draft]);
    await run(join(draft, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', ...PACKAGES]);
    // Somebody else may have been faster.
    if (!existsSync(folder())) await rename(draft, folder());
    return python;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
