import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse, readClickHouseMigrations } from '../../src/storage/clickhouse/migrate.ts';
import type { ClickHouse } from '../../src/storage/clickhouse-port.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { clickHouseContract, ROW, utf8, uuidOf } from '../contract/clickhouse.ts';
import { type Bridge, startClickHouseBridge } from '../support/clickhouse-bridge.ts';

/** One data folder for each process: chdb's rule. */
const dir = `${t.testdir()}/clickhouse`;
let embedded: ClickHouse;

t.before(async () => {
  embedded = await openClickHouse({ dir });
  await migrateClickHouse(embedded, quietLogger);
});
t.teardown(() => embedded.close());

t.test('embedded', (t) => {
  clickHouseContract(t, () => embedded);
  t.end();
});

t.test('over HTTP', async (t) => {
  const bridge: Bridge = await startClickHouseBridge(dir);
  const remote = await openClickHouse({
    url: bridge.url,
    user: 'default',
    password: '',
    database: 'default',
  });
  t.teardown(async () => {
    await remote.close();
    await bridge.close();
  });
  await t.test('the contract', (t) => {
    clickHouseContract(t, () => remote);
    t.end();
  });
  await t.test('a server that is away is no fault of the data', async (t) => {
    const away = await openClickHouse({
      url: 'http://127.0.0.1:9',
      user: 'default',
      password: '',
      database: 'default',
    });
    await t.rejects(away.insert('events', [utf8(ROW)]), /ECONNREFUSED/);
    await t.rejects(away.query('SELECT 1'), /ECONNREFUSED/);
    await t.rejects(away.ping(), /ECONNREFUSED/);
    await away.close();
  });
});

t.test('migrations run twice and at once, and change nothing', async (t) => {
  const shape = () =>
    embedded.query('SELECT table, name, type FROM system.columns WHERE database = currentDatabase()');
  const before = await shape();
  await Promise.all([migrateClickHouse(embedded, quietLogger), migrateClickHouse(embedded, quietLogger)]);
  t.equal(await shape(), before);
  t.match(await readClickHouseMigrations(), [{ name: '0001_events', sql: /IF NOT EXISTS/ }]);
});

t.test('events has the settings that lightweight updates need, and they work', async (t) => {
  await embedded.command('TRUNCATE TABLE events');
  await embedded.insert('events', [utf8(ROW)]);
  const person = uuidOf(99);
  await embedded.command(`UPDATE events SET person_id = '${person}' WHERE distinct_id = 'ann'`);
  t.equal(await embedded.query('SELECT person_id FROM events FINAL'), `{"person_id":"${person}"}\n`);
});

t.test(
  'a table that was there before is left alone, and named with the column that does not fit',
  async (t) => {
    await embedded.command('DROP TABLE groups');
    await embedded.command('CREATE TABLE groups (group_key UInt8, created_at DateTime) ENGINE = Memory');
    await t.rejects(
      migrateClickHouse(embedded, quietLogger),
      /groups\.group_key is UInt8.*groups has no column version /s,
    );
    t.match(await embedded.query('SHOW CREATE TABLE groups'), /Memory/);
    await embedded.command('DROP TABLE groups');
    await migrateClickHouse(embedded, quietLogger);
  },
);

t.test('after kill -9 in mid-insert the folder opens again, and what was answered is there', async (t) => {
  const folder = `${t.testdir()}/killed`;
  const script = new URL('../support/clickhouse-inserter.ts', import.meta.url).pathname;
  const run = async (mode: string, onLine: (line: string) => boolean): Promise<string> => {
    const child = spawn(process.execPath, ['--import', 'tsx', script, mode, folder]);
    let output = '';
    child.stderr.pipe(process.stderr);
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk;
      if (onLine(output)) child.kill('SIGKILL');
    });
    await once(child, 'close');
    return output;
  };
  const answered = (await run('insert', (output) => output.split('\n').length > 20))
    .trim()
    .split('\n').length;
  const found = Number(await run('count', () => false));
  t.ok(answered >= 20);
  t.ok(found >= answered, `${found} of ${answered} answered batches`);
});

t.test('closing waits for what is being inserted, and for nothing else', async (t) => {
  const inserting = embedded.insert(
    'events',
    Array.from({ length: 5_000 }, (_, n) => utf8({ ...ROW, uuid: uuidOf(n) })),
  );
  const start = performance.now();
  await embedded.close();
  await inserting;
  t.ok(performance.now() - start < LIMITS.process.stopTimeoutMs);
  embedded = await openClickHouse({ dir });
});
