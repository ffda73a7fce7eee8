/** Docker Compose, as a plugin of `docker` or as a program of its own. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const WAYS: readonly (readonly string[])[] = [['docker', 'compose'], ['docker-compose']];

/** How it is called; `undefined` when it is not there. Reading a file needs no Docker engine. */
export async function composeProgram(): Promise<readonly string[] | undefined> {
  for (const [program = '', ...args] of WAYS) {
    const answers = promisify(execFile)(program, [...args, 'version']).then(
      () => true,
      () => false,
    );
    if (await answers) return [program, ...args];
  }
  return undefined;
}
