/** Docker Compose itself reads the file, by the schema of the Compose specification. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { composeProgram } from '../../tools/docker-compose.ts';

const ROOT = join(import.meta.dirname, '..', '..');

async function check(file: string): Promise<string> {
  const [program = '', ...args] = (await composeProgram()) ?? ['docker-compose'];
  return promisify(execFile)(program, [...args, '--file', file, 'config', '--quiet'], { cwd: ROOT }).then(
    () => 'valid',
    ({ stderr }: { stderr: string }) => stderr,
  );
}

t.test('docker-compose.yml is valid', async (t) => {
  t.equal(await check('docker-compose.yml'), 'valid');
});

t.test('a file with a mistake is not', async (t) => {
  const dir = t.testdir({ 'wrong.yml': 'services:\n  a:\n    image: b\n    restart_rule: always\n' });
  t.match(await check(join(dir, 'wrong.yml')), /restart_rule/);
});
