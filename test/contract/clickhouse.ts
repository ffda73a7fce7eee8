/** What every adapter of the `ClickHouse` port must do. The tables of the migrations are there. */
import type { Test } from 'tap';
import { type ClickHouse, QueryRefusedError, RowRefusedError } from '../../src/storage/clickhouse-port.ts';

export const ROW = {
  uuid: '0190c0de-0000-7000-8000-000000000001',
  event: '$pageview',
  properties: '{"$session_id":"s1","$group_0":"acme"}',
  timestamp: '2024-05-01 03:04:05.123000',
  team_id: 1,
  distinct_id: 'ann',
  elements_chain: '',
  created_at: '2024-05-01 03:04:06.000000',
  person_id: '0190c0de-0000-7000-8000-0000000000aa',
  person_created_at: '2024-05-01 03:04:05',
  person_properties: '{}',
  person_mode: 'full',
  historical_migration: false,
  _timestamp: 1714532646,
  _offset: 7,
};

export const utf8 = (row: unknown): Buffer =>
  Buffer.from(typeof row === 'string' ? row : JSON.stringify(row));

/** A uuid of its own for every number. */
export const uuidOf = (n: number): string => `0190c0de-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;

export function clickHouseContract(t: Test, clickhouse: () => ClickHouse): void {
  const insert = (...rows: unknown[]) => clickhouse().insert('events', rows.map(utf8));
  const rowsOf = async (sql: string): Promise<unknown[]> =>
    (await clickhouse().query(sql))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  t.beforeEach(() => clickhouse().command('TRUNCATE TABLE events'));

  t.test('a row comes back as it went in, in UTC, with its materialized columns', async (t) => {
    await insert(ROW);
    t.match(await rowsOf('SELECT *, `$session_id`, `$group_0` FROM events'), [
      {
        ...ROW,
        person_created_at: '2024-05-01 03:04:05.000',
        _timestamp: '2024-05-01 03:04:06',
        $session_id: 's1',
        $group_0: 'acme',
        inserted_at: String,
      },
    ]);
  });

  t.test('whatever a string holds, it is data and not SQL', async (t) => {
    const texts = [
      `'; DROP TABLE events; --`,
      'two\nlines',
      '\u0000',
      'ü😀',
      '\\',
      '`',
      '"}\n{"uuid":"x"',
      '/* */ $$ #',
      'x'.repeat(300_000),
    ];
    await insert(...texts.map((text, n) => ({ ...ROW, uuid: uuidOf(n), distinct_id: text })));
    t.same(
      await rowsOf('SELECT distinct_id FROM events ORDER BY uuid'),
      texts.map((distinct_id) => ({ distinct_id })),
    );
  });

  t.test('timestamps of 200 months go in with one insert', async (t) => {
    const months = Array.from({ length: 200 }, (_, n) => `${2000 + Math.floor(n / 12)}-${(n % 12) + 1}-01`);
    const stamp = (day: string) => `${day.replace(/-(\d)-/, '-0$1-')} 00:00:00.000000`;
    await insert(...months.map((day, n) => ({ ...ROW, uuid: uuidOf(n), timestamp: stamp(day) })));
    t.same(await rowsOf('SELECT uniqExact(toYYYYMM(timestamp)) AS months FROM events'), [{ months: 200 }]);
  });

  const wrong: Record<string, unknown> = {
    'a bad uuid': { ...ROW, uuid: 'zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz' },
    'an empty uuid': { ...ROW, uuid: '' },
    'a null uuid': { ...ROW, person_id: null },
    'an unknown field': { ...ROW, surprise: 1 },
    'a materialized field': { ...ROW, $session_id: 's' },
    'no date': { ...ROW, timestamp: 'yesterday' },
    'an unknown mode': { ...ROW, person_mode: 'half' },
    'a text for a number': { ...ROW, team_id: 'one' },
    'half a row': JSON.stringify(ROW).slice(0, -9),
    'no object': '[1]',
    'no JSON': 'garbage',
    'half a surrogate pair': JSON.stringify({ ...ROW, event: '?' }).replace('?', '\\ud800'),
  };
  for (const [name, row] of Object.entries(wrong)) {
    t.test(`${name} is refused as data, and the next insert is whole`, async (t) => {
      await t.rejects(insert(ROW, row), RowRefusedError);
      await insert({ ...ROW, uuid: uuidOf(2) });
      t.same(await rowsOf('SELECT uuid FROM events'), [{ uuid: uuidOf(2) }]);
    });
  }

  t.test('a row that breaks a constraint of the table is refused as data', async (t) => {
    await clickhouse().command("ALTER TABLE events ADD CONSTRAINT no_secrets CHECK event != 'secret'");
    try {
      await t.rejects(insert(ROW, { ...ROW, event: 'secret' }), RowRefusedError);
    } finally {
      await clickhouse().command('ALTER TABLE events DROP CONSTRAINT no_secrets');
    }
  });

  t.test('a missing table is no fault of the data', async (t) => {
    const error = await clickhouse()
      .insert('nowhere', [utf8(ROW)])
      .catch((error: unknown) => error);
    t.type(error, Error);
    t.notOk(error instanceof RowRefusedError);
  });

  t.test('of rows with one uuid the newest counts, and of equally new ones the last', async (t) => {
    const version = (seconds: number, person: number) => ({
      ...ROW,
      person_id: uuidOf(person),
      _timestamp: ROW._timestamp + seconds,
    });
    const winner = () => rowsOf('SELECT person_id FROM events FINAL');
    await insert(version(0, 1), version(0, 2));
    t.same(await winner(), [{ person_id: uuidOf(2) }], 'within one insert');
    await insert(version(0, 3));
    t.same(await winner(), [{ person_id: uuidOf(3) }], 'over two inserts');
    await insert(version(-1, 4));
    t.same(await winner(), [{ person_id: uuidOf(3) }], 'an older one loses');
    await insert(version(1, 5), version(0, 6));
    t.same(await winner(), [{ person_id: uuidOf(5) }]);
    await clickhouse().command('OPTIMIZE TABLE events FINAL');
    t.same(await rowsOf('SELECT person_id FROM events'), [{ person_id: uuidOf(5) }], 'after the merge');
  });

  t.test('overrides are the mappings above version 0', async (t) => {
    const mapping = (distinct_id: string, version: number) =>
      utf8({
        team_id: 1,
        distinct_id,
        person_id: ROW.person_id,
        is_deleted: 0,
        version,
        _timestamp: 1,
        _offset: 1,
        _partition: 0,
      });
    await clickhouse().insert('person_distinct_id2', [mapping('own', 0), mapping('moved', 1)]);
    t.same(await rowsOf('SELECT distinct_id FROM person_distinct_id_overrides FINAL'), [
      { distinct_id: 'moved' },
    ]);
  });

  t.test('queries of every shape are answered', async (t) => {
    await insert(ROW);
    const one = [{ n: 1 }];
    t.same(await rowsOf('SELECT count() AS n FROM events;'), one);
    t.same(await rowsOf('SELECT count() AS n FROM events -- how many?'), one);
    t.same(await rowsOf('/* x */ SELECT count() AS n FROM events FINAL ; -- ; '), one);
    t.same(await rowsOf('WITH 1 AS n SELECT n'), one);
    t.same(await rowsOf('FROM events SELECT 1 AS n'), one);
    t.same(await rowsOf('(SELECT 1 AS n)'), one);
    t.same(await rowsOf('SELECT 1 AS n FROM events AS a JOIN (SELECT * FROM events) AS b USING (uuid)'), one);
    t.match(await rowsOf("SELECT * REPLACE ('x' AS event) FROM events"), [{ event: 'x' }]);
    t.same(await rowsOf("SELECT toDateTime('2024-01-01 00:00:00') AS at, timezone() AS zone"), [
      { at: '2024-01-01 00:00:00', zone: 'UTC' },
    ]);
    t.equal(await clickhouse().query('SELECT 1, 2 FORMAT CSV'), '1,2\n');
    t.equal(await clickhouse().query('SELECT 1 WHERE 0'), '');
    t.ok((await rowsOf('DESCRIBE TABLE events')).length > 20);
    t.ok((await rowsOf('SHOW TABLES')).length > 5);
    t.same(await rowsOf("SELECT 'INTO OUTFILE file()' AS `INTO OUTFILE`"), [
      { 'INTO OUTFILE': 'INTO OUTFILE file()' },
    ]);
    t.same(await rowsOf(`SELECT 1 AS n${' '.repeat(500_000)}`), one, 'a long one');
  });

  const refused = [
    'DROP TABLE events',
    "INSERT INTO events (event) VALUES ('x')",
    'ALTER TABLE events DELETE WHERE 1',
    'TRUNCATE TABLE events',
    'CREATE TABLE x (a Int8) ENGINE = Memory',
    'SELECT 1; DROP TABLE events',
    'SELECT 1; SELECT 2',
    'SET readonly = 0',
    'SELECT 1 SETTINGS readonly = 0',
    'USE system',
    'KILL QUERY WHERE 1',
    'SYSTEM FLUSH LOGS',
    "SELECT 1 INTO/**/OUTFILE '/tmp/tributary-outfile'",
    "SELECT file('/etc/hostname')",
    `SELECT "fi\\x6ce"('/etc/hostname')`,
    "SELECT * FROM view(SELECT file('/etc/hostname'))",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "DESCRIBE file('/etc/hostname', 'LineAsString')",
    "DESCRIBE TABLE url('http://127.0.0.1:9/', 'CSV')",
    "SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:9/bucket/key.csv')",
    "SELECT * FROM executable('id', 'CSV', 'a String')",
    'SELECT number FROM numbers(100001)',
    'SELECT nothing FROM nowhere',
    'selec',
    '',
  ];
  for (const sql of refused) {
    t.test(`query refuses ${JSON.stringify(sql)}, and answers the next`, async (t) => {
      await t.rejects(clickhouse().query(sql), QueryRefusedError);
      t.same(await rowsOf('SELECT 1 AS n'), [{ n: 1 }]);
    });
  }

  t.test(
    'a query for which nobody waits any more is cancelled, and the next one answers at once',
    async (t) => {
      const gone = new AbortController();
      const endless = clickhouse().query(
        'SELECT count() FROM numbers(100000000000000) WHERE number % 3 = 1',
        gone.signal,
      );
      setTimeout(() => gone.abort(), 300);
      await t.rejects(endless, QueryRefusedError);
      t.same(await rowsOf('SELECT 1 AS one'), [{ one: 1 }]);
    },
  );

  t.test('a query does not wait for an insert, and settings of one do not reach the other', async (t) => {
    const rows = Array.from({ length: 20_000 }, (_, n) => ({ ...ROW, uuid: uuidOf(n) }));
    let isFirst = false;
    // On a machine that is busy with other things the insert may be the first to end, but not always.
    for (let tries = 0; tries < 10 && !isFirst; tries++) {
      let inserted = false;
      const inserting = insert(...rows).then(() => {
        inserted = true;
      });
      await clickhouse().query('SELECT 1');
      isFirst = !inserted;
      await inserting;
    }
    t.ok(isFirst, 'the query ends before the insert');
    await clickhouse().ping();
    t.same(await rowsOf('SELECT uniqExact(uuid) AS n FROM events'), [{ n: 20_000 }]);
  });
}
