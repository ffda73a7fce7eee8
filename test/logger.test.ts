import t from 'tap';
import { runProgram } from './support/program.ts';

t.test('the log of a process has no secret, whoever gave it one', async (t) => {
  const { stdout, code } = await runProgram('test/support/log-secrets.ts', [], {}).ended;
  t.equal(code, 0);
  const [line, ...more] = stdout.trimEnd().split('\n');
  t.same(more, []);
  t.match(JSON.parse(line ?? ''), {
    level: 50,
    error: 'postgres://***@db/x: ***@*** is there already',
    msg: 'no project ph*_***',
  });
});
