/** k6, the load generator: of this machine, or installed once with Go and kept in the user's cache. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const K6_VERSION = '1.8.1';
/** What k6 is built with. A newer Go does as well, an older one fetches it. */
const GO_VERSION = '1.25.12';
const GO_MIN = [1, 16] as const;
/** From here on `go` fetches the Go that a program asks for. */
const FETCHES_GO = [1, 21] as const;
const TAKES = 'about two minutes and 1 GB in the caches of Go, once';

/** Why k6 cannot run here, in words that follow "needs"; `undefined` when it can. */
export async function k6Missing(): Promise<string | undefined> {
  if ((await installed()) !== undefined || isAtLeast(await goVersion(), GO_MIN)) return undefined;
  return `k6 ${K6_VERSION} in PATH, or Go ${GO_MIN.join('.')} or later to install it`;
}

/** The program `k6`. Rejects with what to do, or with what Go said. */
export async function findK6(report: (line: string) => void): Promise<string> {
  const found = await installed();
  if (found !== undefined) return found;
  const version = await goVersion();
  if (!isAtLeast(version, GO_MIN)) {
    throw new Error(
      `k6 is not here. Either put k6 ${K6_VERSION} into PATH (https://grafana.com/docs/k6/latest/set-up/install-k6/), or install Go ${GO_MIN.join('.')} or later (Debian: golang): then it is installed by itself.`,
    );
  }
  return install(isAtLeast(version, FETCHES_GO), report);
}

/** `K6_PATH`, or what `PATH` has, if it is recent enough, or what was installed before. */
async function installed(): Promise<string | undefined> {
  const { K6_PATH } = process.env;
  if (K6_PATH) return K6_PATH;
  // Before 1.0 it did not run TypeScript by itself.
  if (isAtLeast(await versionOf('k6', /k6(?:\.exe)? v(\d+)\.(\d+)/), [1, 0])) return 'k6';
  return existsSync(cached()) ? cached() : undefined;
}

type Version = readonly [major: number, minor: number];

const goVersion = (): Promise<Version | undefined> => versionOf('go', /go(\d+)\.(\d+)/);

/** Of the program in `PATH`; `undefined`: it is not there. */
async function versionOf(program: string, pattern: RegExp): Promise<Version | undefined> {
  const said = await run(program, ['version']).catch(() => undefined);
  const [, major, minor] = pattern.exec(said?.stdout ?? '') ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor)];
}

function isAtLeast(version: Version | undefined, [major, minor]: Version): boolean {
  return version !== undefined && (version[0] > major || (version[0] === major && version[1] >= minor));
}

const folder = (): string =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tributary', `k6-${K6_VERSION}`);

/** Its folder appears, by a rename, once it has been built. */
const cached = (): string => join(folder(), 'k6');

async function install(isRecent: boolean, report: (line: string) => void): Promise<string> {
  report(`installing k6 ${K6_VERSION} into ${folder()} (${TAKES})`);
  const draft = `${folder()}-${randomBytes(4).toString('hex')}`;
  await mkdir(draft, { recursive: true });
  try {
    const go = isRecent ? 'go' : await fetchGo();
    const env = { ...process.env, GOBIN: draft, GOFLAGS: '', GOTOOLCHAIN: 'auto', GOROOT: '' };
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

/** A Go of `GO_VERSION`, as a module, into the cache of modules; the old `go` does not make its programs executable. */
async function fetchGo(): Promise<string> {
  const env = { ...process.env, GOFLAGS: '' };
  const { stdout } = await run('go', ['env', 'GOOS', 'GOARCH'], { env });
  const [os = '', arch = ''] = stdout.split('\n');
  const module = `golang.org/toolchain@v0.0.1-go${GO_VERSION}.${os}-${arch}`;
  const fetched = await run('go', ['mod', 'download', '-json', module], { env });
  const { Dir: root }: { Dir: string } = JSON.parse(fetched.stdout);
  const tools = join(root, 'pkg', 'tool', `${os}_${arch}`);
  const programs = (await readdir(tools)).map((name) => join(tools, name));
  for (const program of [join(root, 'bin', 'go'), ...programs]) await chmod(program, 0o755);
  return join(root, 'bin', 'go');
}
