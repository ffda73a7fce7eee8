/** Every attack for a second or so. What takes longer to be seen, and latency by the clock, is for `npm run attacks`. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { ATTACKS } from '../../load/attacks/attacks.ts';
import { underAttack } from '../../load/attacks/under-attack.ts';
import { System } from '../../load/support/system.ts';

t.setTimeout(600_000);

const ROOT = join(import.meta.dirname, '..', '..');
const SECONDS = 1;

t.test(
  'the process lives through every attack, within its memory, and no acknowledged event is lost',
  async (t) => {
    const system = await System.create();
    t.teardown(() => system.remove());
    await system.start();
    const { pid } = system;
    for (const attack of ATTACKS) {
      const result = await underAttack(system, attack, { seconds: SECONDS, isJudgedFully: false });
      if (!t.same(result.problems, [], `${attack.name}: ${JSON.stringify(result.seen)}`)) {
        t.comment(JSON.stringify(result), await system.log());
      }
      t.ok(result.good.acknowledged > 0);
    }
    t.equal(system.pid, pid);
    const door = await system.metric('tributary_capture_refused_total');
    t.ok(door > 0, `${door} requests were refused`);
    for (const reason of ['body_too_large', 'too_deep', 'too_many_keys', 'malformed_body', 'overloaded']) {
      const count = await system.metric('tributary_capture_refused_total', `reason="${reason}"`);
      t.ok(count > 0, `${reason}: ${count}`);
    }
  },
);

function npmRunAttacks(
  ...args: readonly string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', 'load/attacks.ts', ...args],
      { cwd: ROOT },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

t.test('without a name the command lists the attacks, and an unknown one is told', async (t) => {
  const { code, stdout } = await npmRunAttacks();
  t.equal(code, 0);
  for (const { name } of ATTACKS) t.match(stdout, new RegExp(`^  ${name} `, 'm'));
  const unknown = await npmRunAttacks('slowloris');
  t.equal(unknown.code, 1);
  t.match(unknown.stderr, /there is no attack slowloris/);
});
