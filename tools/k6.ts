/** k6, the load generator: of this machine, or installed once with Go and kept in the user's cache. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const K6_VERSION = '1.8.1';
/** The first one whose `go` fetches the Go that k6 asks for by itself. */
const GO_MIN = [1, 21] as const;
const TAKES = 'about two minutes and 1 GB in the caches of Go, once';

/** Why k6 cannot run here, in words that follow "needs"; `undefined` when it can. */
export async function k6Missing(): Promise<string | undefined> {
  if ((await installed()) !== undefined || (await program('go')) !== undefined) return undefined;
  return `k6 ${K6_VERSION} in PATH, or Go ${GO_MIN.join('.')} or later to install it`;
}

/** The program `k6`. Rejects with what to do, or with what Go said. */
export async function findK6(report: (line: string) => void): Promise<string> {
  const found = await installed();
  if (found !== undefined) return found;
  const go = await program('go');
  if (go === undefined) {
    throw new Error(
      `k6 is not here. Either put k6 ${K6_VERSION} into PATH (https://grafana.com/docs/k6/latest/set-up/install-k6/), or install Go ${GO_MIN.join('.')} or later (Debian: golang): then it is installed by itself.`,
    );
  }
  return install(go, report);
}

/** `K6_PATH`, or what `PATH` has, if it is recent enough, or what was installed before. */
async function installed(): Promise<string | undefined> {
  const { K6_PATH } = process.env;
  if (K6_PATH) return K6_PATH;
  return (await program('k6')) ?? (existsSync(cached()) ? cached() : undefined);
}

/** The name itself, if PATH has a version of it that will do. */
async function program(name: keyof typeof VERSIONS): Promise<string | undefined> {
  const { arguments: asked, pattern, min } = VERSIONS[name];
  const said = await run(name, [...asked]).catch(() => undefined);
  const [, major, minor] = pattern.exec(said?.stdout ?? '') ?? [];
  if (major === undefined) return undefined;
  const isRecent = Number(major) > min[0] || (Number(major) === min[0] && Number(minor) >= min[1]);
  return isRecent ? name : undefined;
}

const VERSIONS = {
  // Before 1.0 it did not run TypeScript by itself.
  k6: { arguments: ['version'], pattern: /k6(?:\.exe)? v(\d+)\.(\d+)/, min: [1, 0] },
  go: { arguments: ['version'], pattern: /go(\d+)\.(\d+)/, min: GO_MIN },
} as const;

const folder = (): string =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tributary', `k6-${K6_VERSION}`);

/** Its folder appears, by a rename, once it has been built. */
const cached = (): string => join(folder(), 'k6');

async function install(go: string, report: (line: string) => void): Promise<string> {
  report(`installing k6 ${K6_VERSION} into ${folder()} (${TAKES})`);
  const draft = `${folder()}-${randomBytes(4).toString('hex')}`;
  await mkdir(draft, { recursive: true });
  try {
    const env = { ...process.env, GOBIN: draft, GOFLAGS: '', GOTOOLCHAIN: 'auto' };
    await run(go, ['install', `go.k6.io/k6@v${K6_VERSION}`], { env, maxBuffer: 16 * 1024 * 1024 });
    // Somebody else may have been faster.
    if (!existsSync(folder())) await rename(draft, folder());
    report('installed');
  } catch (error) {
    throw new Error(`k6 could not be installed: ${error instanceof Error ? error.message : error}`);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return cached();
}
