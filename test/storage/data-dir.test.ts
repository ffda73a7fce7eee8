import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DataDirError, lockDataDir, readRunning, writeRunning } from '../../src/storage/embedded/data-dir.ts';

const MODULE = new URL('../../src/storage/embedded/data-dir.ts', import.meta.url).href;

/** A process that takes the lock, says `locked` or why not, and lives on until it is killed. */
async function locker(t: Test, dir: string): Promise<{ child: ChildProcess; said: string }> {
  const script = `
    import { lockDataDir, writeRunning } from ${JSON.stringify(MODULE)};
    try {
      await lockDataDir(${JSON.stringify(dir)});
      await writeRunning(${JSON.stringify(dir)}, { pid: process.pid, consolePort: 8010 });
      console.log('locked');
    } catch (error) { console.log(error.message); }
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [chunk] = await once(child.stdout, 'data');
  return { child, said: String(chunk).trim() };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

t.test('the folder is made, and a second taker is refused until the first one releases', async (t) => {
  const dir = join(t.testdir(), 'deep/data');
  const lock = await lockDataDir(dir);
  await t.rejects(lockDataDir(dir), {
    name: 'DataDirError',
    message: new RegExp(`${dir} is in use by process ${process.pid}: .*TRIBUTARY_DATA_DIR`),
  });
  await lock.release();
  const again = await lockDataDir(dir);
  await again.release();
  t.equal((await readdir(dir)).length, 1, 'one small file stays');
});

t.test('another process is refused by name, and its lock is taken over after kill -9', async (t) => {
  const dir = t.testdir();
  const { child, said } = await locker(t, dir);
  t.equal(said, 'locked');
  await t.rejects(lockDataDir(dir), { message: new RegExp(`in use by process ${child.pid}:`) });
  t.match(await readRunning(dir), { pid: child.pid, consolePort: 8010 });
  await kill(child);
  t.equal(await readRunning(dir), undefined, 'what it said of itself no longer counts');
  const lock = await lockDataDir(dir);
  await lock.release();
});

t.test('of many processes at one stale lock, exactly one gets it', async (t) => {
  const dir = t.testdir();
  await kill((await locker(t, dir)).child);
  const takers = await Promise.all(Array.from({ length: 4 }, () => locker(t, dir)));
  const winners = takers.filter(({ said }) => said === 'locked');
  t.equal(winners.length, 1);
  for (const { child } of takers) await kill(child);
});

t.test('of many takers in one process, exactly one gets it, round after round', async (t) => {
  const dir = t.testdir();
  for (let round = 0; round < 20; round += 1) {
    const results = await Promise.allSettled(Array.from({ length: 4 }, () => lockDataDir(dir)));
    const locks = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    t.equal(locks.length, 1);
    const others = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    t.ok(others.every((reason) => reason instanceof DataDirError));
    for (const lock of locks) await lock.release();
  }
});

t.test('a lock whose pid has gone to another process is stale, and so is an unreadable one', async (t) => {
  const dir = t.testdir();
  await writeFile(join(dir, 'lock-7'), JSON.stringify({ pid: process.ppid, startedAt: '1' }));
  await (await lockDataDir(dir)).release();
  t.same(await readdir(dir), ['lock-8']);
  await writeFile(join(dir, 'lock-8'), '');
  await (await lockDataDir(dir)).release();
  t.same(await readdir(dir), ['lock-9']);
});

t.test('a folder that cannot be made or written is one clear error', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file');
  await t.rejects(lockDataDir(file), {
    message: new RegExp(`cannot write to the data folder ${file} .*make it writable`),
  });
  await t.rejects(lockDataDir(process.platform === 'linux' ? '/sys/data' : '/data'), DataDirError);
});

t.test('a folder that its holder removes is gone for good', async (t) => {
  const dir = join(t.testdir(), 'data');
  const lock = await lockDataDir(dir);
  await rm(dir, { recursive: true });
  await lock.release();
  await t.rejects(readdir(dir), { code: 'ENOENT' });
});

t.test('what runs is written for this user alone, and gone after the release', async (t) => {
  const dir = t.testdir();
  t.equal(await readRunning(dir), undefined);
  t.equal(await readRunning(join(dir, 'missing')), undefined);
  const lock = await lockDataDir(dir);
  const running = { pid: process.pid, capturePort: 8000, consolePort: 8010, postgresUrl: 'postgres://x' };
  await writeRunning(dir, running);
  t.match(await readRunning(dir), running);
  await mkdir(join(dir, 'other'));
  await writeFile(
    join(dir, 'other/running.json'),
    `${await readFile(join(dir, 'running.json'))}`.slice(0, 9),
  );
  t.equal(await readRunning(join(dir, 'other')), undefined, 'half a file is none');
  await lock.release();
  t.equal(await readRunning(dir), undefined);
});
