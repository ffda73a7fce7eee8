/** What a newcomer does first, as the README says it, and what a start says that cannot be. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { dataFolder, ROOT, type Row, run, runStart, startSystem, type TestSystem, until } from './harness.ts';

/** On a machine that is busy with other things; else it is a few seconds. */
const FIRST_ROW_MS = 60_000;
const STOP_MS = LIMITS.process.stopTimeoutMs;

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const CURL = /^curl http:\/\/127\.0\.0\.1:8000(?<path>\S+) -d '(?<body>[^']+)'$/m.exec(README)?.groups;
/** As a newcomer has it, with the hold on: the tests turn it off otherwise. */
const AS_IT_COMES = { BUFFER_CONVERSION_SECONDS: '' };
const QUESTION = /^npm run sql -- "(?<sql>[^"]+)"$/m.exec(README)?.groups?.['sql'] ?? '';

/** The README's first event, as curl sends it. */
function firstEvent({ post }: TestSystem) {
  return post(CURL?.['path'] ?? '', CURL?.['body'] ?? '', {
    'content-type': 'application/x-www-form-urlencoded',
  });
}

const rows = (json: string): Row[] =>
  json
    .split('\n')
    .filter(Boolean)
    .map((line): Row => JSON.parse(line));

function npm(system: TestSystem, ...args: readonly string[]) {
  return run('npm', ['run', '-s', ...args], { TRIBUTARY_DATA_DIR: system.dataDir });
}

/** Sends one more event and waits for its row. */
async function sends(t: Test, system: TestSystem, event: string): Promise<void> {
  await system.send([{ event, distinct_id: 'newcomer' }]);
  await until(`a row of ${event}`, async () =>
    (await system.sql(`SELECT 1 FROM events WHERE event = '${event}'`)).length > 0 ? true : undefined,
  );
  t.pass(`${event} has its row`);
}

async function stops(t: Test, system: TestSystem, signal: 'SIGTERM' | 'SIGINT'): Promise<void> {
  const { code, elapsedMs, stderr } = await system.end(signal);
  t.comment(`${signal}: ended after ${Math.round(elapsedMs)} ms`);
  t.same([code, stderr], [0, ''], 'ends without complaint');
  t.ok(elapsedMs <= STOP_MS, `within ${STOP_MS} ms of ${signal}`);
}

t.test('the first event of the README is a row soon, and is still there after every end', async (t) => {
  const dataDir = await dataFolder(t);
  const begun = performance.now();
  const first = await startSystem(t, dataDir, AS_IT_COMES);
  t.same(await firstEvent(first), { status: 200, text: '{"status":1}' });
  const row = await until('the first row', async () => (await first.sql(QUESTION))[0], FIRST_ROW_MS);
  const firstRowMs = performance.now() - begun;
  t.comment(`ready after ${Math.round(first.readyMs)} ms, the first row after ${Math.round(firstRowMs)} ms`);
  t.ok(firstRowMs <= FIRST_ROW_MS, `the row is there ${FIRST_ROW_MS} ms after the start`);
  t.match(row, { event: 'hello', distinct_id: 'newcomer', person_id: /^[0-9a-f-]{36}$/ });

  const asked = await npm(first, 'sql', '--', QUESTION);
  t.same([asked.code, asked.stderr, rows(asked.stdout)], [0, '', [row]], 'npm run sql shows it');
  const sent = await npm(first, 'send', '--', 'hello again', '--set', 'plan=pro', '--json');
  t.equal(sent.code, 0, sent.stderr);
  t.match(rows(sent.stdout), [
    { outcome: 'row', row: { event: 'hello again', distinct_id: 'newcomer', person_id: row['person_id'] } },
  ]);
  await stops(t, first, 'SIGTERM');

  const second = await startSystem(t, dataDir, AS_IT_COMES);
  await sends(t, second, 'after SIGTERM');
  await second.end('SIGKILL');
  const third = await startSystem(t, dataDir, AS_IT_COMES);
  t.comment(`ready ${Math.round(third.readyMs)} ms after SIGKILL`);
  await sends(t, third, 'after SIGKILL');
  const books = await third.settled();
  t.equal(books.acknowledged, 4, 'the books go on where they were');
  t.same(
    await third.sql(
      'SELECT event, uniqExact(uuid) AS uuids, any(toString(person_id)) AS person FROM events GROUP BY event ORDER BY event',
    ),
    ['after SIGKILL', 'after SIGTERM', 'hello', 'hello again'].map((event) => ({
      event,
      uuids: 1,
      person: row['person_id'],
    })),
  );
  await stops(t, third, 'SIGINT');
});

t.test('a start that cannot be says in one line what to do', async (t) => {
  const dataDir = await dataFolder(t);
  const notADirectory = `${dataDir}-file`;
  await writeFile(notADirectory, '');
  const neighbour = createServer().listen(0, '127.0.0.1');
  t.teardown(() => neighbour.close());
  await new Promise((resolve) => neighbour.once('listening', resolve));
  const address = neighbour.address();
  const usedPort = String(typeof address === 'object' ? address?.port : '');
  const holder = await startSystem(t, dataDir);

  const free = join(notADirectory, '../unused');
  const faults: readonly (readonly [name: string, settings: Record<string, string>, says: RegExp])[] = [
    [
      'a data folder in use',
      { TRIBUTARY_DATA_DIR: dataDir },
      new RegExp(`in use by process ${holder.pid}: stop that process, or set TRIBUTARY_DATA_DIR`),
    ],
    [
      'a data folder that cannot be written',
      { TRIBUTARY_DATA_DIR: join(notADirectory, 'data') },
      /cannot write to the data folder .*: make it writable .* or set TRIBUTARY_DATA_DIR/,
    ],
    [
      'a capture port in use',
      { TRIBUTARY_DATA_DIR: free, CAPTURE_PORT: usedPort },
      new RegExp(`port ${usedPort} .*in use: stop what uses it, or set CAPTURE_PORT`),
    ],
    [
      'a console port in use',
      { TRIBUTARY_DATA_DIR: free, CONSOLE_PORT: usedPort },
      new RegExp(`port ${usedPort} .*in use: stop what uses it, or set CONSOLE_PORT`),
    ],
    [
      'a wrong value',
      { TRIBUTARY_DATA_DIR: free, CAPTURE_PORT: 'http' },
      /CAPTURE_PORT is "http": it takes a port/,
    ],
    [
      'a setting that does not exist',
      { TRIBUTARY_DATA_DIR: free, TRIBUTARY_DATADIR: 'x' },
      /TRIBUTARY_DATADIR is "x", but there is no such setting: there are .*TRIBUTARY_DATA_DIR/,
    ],
    [
      'a Kafka that does not answer',
      { TRIBUTARY_DATA_DIR: free, KAFKA_HOSTS: '127.0.0.1:1' },
      /Kafka does not answer: check KAFKA_HOSTS \(.*127\.0\.0\.1:1.*ECONNREFUSED/,
    ],
    [
      'a store of its own in a process that does not run everything',
      { TRIBUTARY_DATA_DIR: free, KAFKA_HOSTS: '127.0.0.1:1', TRIBUTARY_ROLES: 'worker' },
      /TRIBUTARY_ROLES is "worker": with the embedded PostgreSQL \(DATABASE_URL is unset\) one process runs every role/,
    ],
  ];
  for (const [name, settings, says] of faults) {
    const { code, stdout, stderr } = await runStart(settings);
    t.equal(code, 1, `${name}: exit code 1`);
    t.match(stderr, says, name);
    t.match(stderr, /^Tributary cannot start: [^\n]+\n$/, `${name}: one line`);
    t.equal(stdout, '', `${name}: and nothing else`);
  }
  t.equal(await holder.health(), 200, 'none of them disturbs the one that runs');
  await holder.settled();
});
