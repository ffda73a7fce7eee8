/** `npm run send` and the real hold: what a person at a terminal is told about an event that has to wait. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Row } from '../../src/cli/terminal.ts';
import { stopOrphanedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { type Program, runProgram, startSystemProcess } from '../support/program.ts';

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
const PERSON_OF_EVERY_ROW = /```sql\n(?<sql>[\s\S]+?)```/.exec(README)?.groups?.['sql'] ?? '';

// A dozen processes, on a machine that may be busy.
t.setTimeout(600_000);

function dataFolder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'tributary-held-'));
  t.teardown(async () => {
    await stopOrphanedPostgres(join(dir, 'postgres'));
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

t.test(
  'send tells at once that an event is held, and what released it; the README tells whose it is',
  async (t) => {
    const dir = dataFolder(t);
    const run = (name: string, ...args: string[]): Program =>
      runProgram(`src/cli/${name}.ts`, args, { TRIBUTARY_DATA_DIR: dir });
    const lines = async (program: Program, code = 0): Promise<Row[]> => {
      const ended = await program.ended;
      t.same([ended.code, ended.stderr], [code, '']);
      return ended.stdout
        .split('\n')
        .filter(Boolean)
        .map((line): Row => JSON.parse(line));
    };

    const first = await startSystemProcess(dir, { BUFFER_CONVERSION_SECONDS: '600' });
    t.teardown(() => first.stop());
    const untold = await lines(run('send', 'backend signup', '--distinct-id', 'Alice', '--no-wait'));
    t.match(untold, [{ outcome: 'held', held: { distinct_id: 'Alice', events: 1, released_by: null } }]);
    const leftMs = Date.parse(String(Object(untold[0]?.['held']).until)) - Date.now();
    t.ok(leftMs > 500_000 && leftMs <= 600_000, 'until then');

    const waiting = run('send', 'backend login', '--distinct-id', 'Alice');
    const left = run('send', 'backend signup', '--distinct-id', 'Bob');
    await Promise.all([waiting.line('"outcome":"held"'), left.line('"outcome":"held"')]);
    left.kill('SIGINT');
    t.match(await lines(left, 130), [{ outcome: 'held' }], 'Ctrl-C leaves without a word of complaint');

    const identify = await lines(
      run('send', '$identify', '--distinct-id', 'Alice', '--anon-distinct-id', 'anon-1'),
    );
    t.match(identify, [{ outcome: 'row', held: null }], 'an identify is not held');
    const person = Object(identify[0]?.['row']).person_id;
    t.match(await lines(waiting), [
      { outcome: 'held', held: { distinct_id: 'Alice', released_by: null } },
      {
        outcome: 'row',
        row: { event: 'backend login', person_id: person },
        held: {
          released_by: 'person',
          released_by_event: { name: '$identify', uuid: identify[0]?.['uuid'] },
        },
      },
    ]);
    t.match(await lines(run('send', 'hello')), [{ outcome: 'row', held: null }], 'nor is a newcomer');
    await first.stop();

    const second = await startSystemProcess(dir, { BUFFER_CONVERSION_SECONDS: '2' });
    t.teardown(() => second.stop());
    t.match(await lines(run('send', 'backend signup', '--distinct-id', 'Carol')), [
      { outcome: 'held', held: { distinct_id: 'Carol' } },
      {
        outcome: 'row',
        row: { distinct_id: 'Carol' },
        held: { released_by: 'time', released_by_event: null },
      },
    ]);
    await lines(run('send', '$pageview', '--distinct-id', 'anon-2', '--property', '$device_id=anon-2'));
    await lines(run('send', '$identify', '--distinct-id', 'Alice', '--anon-distinct-id', 'anon-2'));

    const all = await lines(run('sql', PERSON_OF_EVERY_ROW));
    const personOf = (...ids: string[]) =>
      all.filter(({ distinct_id }) => ids.includes(String(distinct_id))).map((row) => row['person']);
    t.same(personOf('Alice', 'anon-2'), Array(5).fill(person), 'also the row from before the merge');
    t.equal(personOf('Bob').length, 1, 'what was left to itself has gone on');
    t.equal(new Set(all.map((row) => row['person'])).size, 4, 'Alice, Bob, Carol and the newcomer');
  },
);
