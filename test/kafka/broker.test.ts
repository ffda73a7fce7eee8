/** The broker that development and tests use. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startKafka } from '../../tools/kafka/broker.ts';
import { newRunFolder, removeFolder } from '../../tools/kafka/folder.ts';
import { runProgram } from '../support/program.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const END_TIMEOUT_MS = 60_000;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

function isAnswering(hosts: string): Promise<boolean> {
  const [host, port] = hosts.split(':');
  const socket = connect(Number(port), host);
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}

async function hasEnded(pid: number): Promise<boolean> {
  for (let waited = 0; waited < END_TIMEOUT_MS && isAlive(pid); waited += 50) await wait(50);
  return !isAlive(pid);
}

async function runFolder(t: Test): Promise<string> {
  const dir = await newRunFolder();
  t.teardown(() => removeFolder(dir));
  return dir;
}

t.test('a broker that was killed comes back on its port, with its data', async (t) => {
  const dir = await runFolder(t);
  const broker = await startKafka({ dir });
  t.teardown(() => broker.kill());
  const { hosts, pid } = broker;
  const identity = readFileSync(join(dir, 'data', 'meta.properties'), 'utf8');
  t.ok(await isAnswering(hosts));

  await broker.kill();
  t.notOk(isAlive(pid));
  t.notOk(await isAnswering(hosts));
  await broker.start();
  t.same([broker.hosts, broker.pid === pid], [hosts, false]);
  t.ok(await isAnswering(hosts));
  t.equal(readFileSync(join(dir, 'data', 'meta.properties'), 'utf8'), identity);

  const again = broker.pid;
  await broker.stop();
  t.notOk(isAlive(again));
});

t.test('a broker ends with its parent, though that is killed', async (t) => {
  const program = `import { startKafka } from ${JSON.stringify(join(ROOT, 'tools/kafka/broker.ts'))};
    const broker = await startKafka({ dir: ${JSON.stringify(await runFolder(t))} });
    console.log(broker.pid);`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program];
  const parent = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => void parent.kill('SIGKILL'));
  const pid = await new Promise<number>((resolve, reject) => {
    createInterface({ input: parent.stdout }).once('line', (line) => resolve(Number(line)));
    parent.once('exit', () => reject(new Error('the parent ended')));
  });
  t.ok(isAlive(pid));
  parent.kill('SIGKILL');
  t.ok(await hasEnded(pid));
});

t.test('npm run kafka shows KAFKA_HOSTS, and at Ctrl-C it leaves nothing behind', async (t) => {
  const port = 30_000 + Math.floor(Math.random() * 2000);
  const command = runProgram('tools/kafka/run.ts', ['--port', `${port}`], {});
  t.teardown(() => command.kill('SIGKILL'));
  const shown: { KAFKA_HOSTS: string; pid: number; dir: string } = JSON.parse(
    await command.line('KAFKA_HOSTS'),
  );
  t.equal(shown.KAFKA_HOSTS, `127.0.0.1:${port}`);
  t.ok(await isAnswering(shown.KAFKA_HOSTS));
  t.ok(existsSync(shown.dir));

  const second = await runProgram('tools/kafka/run.ts', ['--port', `${port}`], {}).ended;
  t.equal(second.code, 1);
  t.match(second.stderr, `port ${port} on 127.0.0.1 is taken`);

  command.kill('SIGINT');
  const { code, stderr } = await command.ended;
  t.same([code, stderr], [0, '']);
  t.notOk(isAlive(shown.pid));
  t.notOk(existsSync(shown.dir));
});
