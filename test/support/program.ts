/** Runs the project's programs as a user does: in processes of their own. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { keepLog } from '../../tools/suite-logs.ts';

const SYSTEM = 'src/main.ts';
const ROOT = join(import.meta.dirname, '..', '..');
/** For a machine that is busy with other things; the program gives up by itself long before. */
const STOP_TIMEOUT_MS = 30_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Resolves with the first line of the standard output that `matches`; rejects when the program ends without. */
  line(matches: string): Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

/** `script`: from the project's root, such as `src/main.ts`. Only `env` and what Node needs is in its environment. */
export function runProgram(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input?: string,
): Program {
  const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, script), ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => {
      if (script === SYSTEM) keepLog(stdout + stderr);
      resolve({ code, stdout, stderr });
    });
  });
  return {
    pid: child.pid ?? 0,
    ended,
    line: (matches) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = stdout.split('\n').find((line) => line.includes(matches));
          if (found !== undefined) resolve(found);
        };
        child.stdout.on('data', look);
        look();
        void ended.then(() => reject(new Error(`${script} ended without "${matches}": ${stdout}${stderr}`)));
      }),
    kill: (signal) => void child.kill(signal),
  };
}

export interface RunningSystem {
  readonly captureUrl: string;
  readonly consoleUrl: string;
  readonly process: Program;
  /** SIGTERM. */
  stop(): Promise<Ended>;
}

/** `npm start` on free ports; no event is held, unless `env` says so. Ends with the test process at the latest. */
export async function startSystemProcess(
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningSystem> {
  const program = runProgram('src/main.ts', [], {
    TRIBUTARY_DATA_DIR: dataDir,
    CAPTURE_PORT: '0',
    CONSOLE_PORT: '0',
    BUFFER_CONVERSION_SECONDS: '0',
    ...env,
  });
  const { captureUrl, consoleUrl }: { captureUrl: string; consoleUrl: string } = JSON.parse(
    await program.line('"msg":"ready"'),
  );
  return {
    captureUrl,
    consoleUrl,
    process: program,
    async stop() {
      program.kill('SIGTERM');
      const bound = setTimeout(() => program.kill('SIGKILL'), STOP_TIMEOUT_MS);
      return program.ended.finally(() => clearTimeout(bound));
    },
  };
}
