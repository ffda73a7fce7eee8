import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { Parts, StoppedError } from '../src/parts.ts';
import { heardLogger, quietLogger } from '../tools/suite-logs.ts';

t.test('parts stop in reverse, each after the one before, whichever of them had started first', async (t) => {
  const parts = new Parts(quietLogger);
  const said: string[] = [];
  const start = (name: string, startMs: number) =>
    parts.start(
      name,
      async () => {
        await wait(startMs);
        said.push(`+${name}`);
        return name;
      },
      async () => {
        await wait(5);
        said.push(`-${name}`);
      },
    );
  await start('a', 1);
  await Promise.all([start('b', 20), start('c', 1)]);
  await Promise.all([parts.stop(), parts.stop()]);
  t.same(said, ['+a', '+c', '+b', '-c', '-b', '-a']);
});

t.test('a part that fails to start or to stop does not keep the others from stopping', async (t) => {
  const errors: unknown[] = [];
  const parts = new Parts(heardLogger({ error: (fields) => void errors.push(fields) }));
  const stopped: string[] = [];
  const part = (name: string, fails = false) =>
    parts.start(
      name,
      async () => name,
      async () => {
        if (fails) throw new Error('stuck');
        stopped.push(name);
      },
    );
  await part('a');
  await part('b', true);
  await part('c');
  await t.rejects(
    parts.start(
      'd',
      async () => {
        throw new Error('no room');
      },
      async () => {},
    ),
    { message: 'no room' },
  );
  await parts.stop();
  t.same(stopped, ['c', 'a']);
  t.match(errors, [{ part: 'b', error: /stuck/ }]);
});

t.test('a stop waits for a part that is starting, stops it, and lets none start after', async (t) => {
  const parts = new Parts(quietLogger);
  const said: string[] = [];
  const slow = parts.start(
    'slow',
    () => wait(20, 'slow'),
    async (name) => void said.push(`-${name}`),
  );
  const stop = parts.stop();
  await t.rejects(
    parts.start(
      'late',
      async () => 'late',
      async () => {},
    ),
    StoppedError,
  );
  await stop;
  t.equal(await slow, 'slow');
  t.same(said, ['-slow']);
});
