import t from 'tap';
import { classify, openPostgres, type Postgres, type Queryable } from '../../src/storage/postgres/pool.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { withPostgres } from '../support/postgres.ts';

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing failed',
    (error: unknown) => error,
  );

const faultOf = async (work: Promise<unknown>): Promise<string> => classify(await failure(work));

async function backendPid(queryable: Queryable): Promise<number> {
  const { rows } = await queryable.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}

/** From another connection. */
const terminate = (postgres: Postgres, pid: number) =>
  postgres.query('SELECT pg_terminate_backend($1, 1000)', [pid]);

t.test('values come as documented', async (t) => {
  const { postgres } = await withPostgres(t);
  const { rows, rowCount } = await postgres.query(
    `SELECT 9007199254740991 AS "int", '2024-01-02T03:04:05.678901Z'::timestamptz AS "time", '{"a": [1]}'::jsonb AS "json"`,
  );
  t.same(rows, [
    { int: Number.MAX_SAFE_INTEGER, time: new Date('2024-01-02T03:04:05.678Z'), json: { a: [1] } },
  ]);
  t.equal(rowCount, 1);
  await t.rejects(postgres.query('SELECT 9007199254740992'), { message: /outside of the safe range/ });
});

t.test('sessions have their names and limits', async (t) => {
  const { postgres } = await withPostgres(t);
  const { rows } = await postgres.query(
    `SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS statement,
       current_setting('lock_timeout') AS lock, current_setting('idle_in_transaction_session_timeout') AS idle`,
  );
  t.same(rows, [{ name: 'tributary', statement: '5s', lock: '5s', idle: '5s' }]);
});

t.test('a transaction happens as a whole or not at all, and its connection can be used again', async (t) => {
  const { postgres } = await withPostgres(t);
  await postgres.query('CREATE TABLE kept (n integer PRIMARY KEY)');
  t.equal(
    await postgres.transaction(async (transaction) => {
      await transaction.query('INSERT INTO kept VALUES (1)');
      return 'done';
    }),
    'done',
  );
  for (let round = 0; round < 20; round += 1) {
    await t.rejects(
      postgres.transaction(async (transaction) => {
        await transaction.query('INSERT INTO kept VALUES (2)');
        throw new Error('changed my mind');
      }),
      { message: 'changed my mind' },
    );
  }
  t.same((await postgres.query('SELECT n FROM kept')).rows, [{ n: 1 }]);
  let leaked: Queryable | undefined;
  await postgres.transaction(async (transaction) => {
    leaked = transaction;
  });
  await t.rejects(async () => leaked?.query('SELECT 1'), { message: 'the transaction is over' });
});

t.test('data that can never go in is told from what may go in later', async (t) => {
  const { postgres } = await withPostgres(t);
  await postgres.query('CREATE TABLE kept (n integer PRIMARY KEY, s text, CHECK (n < 100))');
  await postgres.query('CREATE INDEX ON kept (s)');
  await postgres.query('INSERT INTO kept VALUES (1)');
  const insert = 'INSERT INTO kept VALUES ($1, $2)';
  t.equal(await faultOf(postgres.query(insert, [2, 'NUL \0'])), 'data');
  t.equal(await faultOf(postgres.query('SELECT $1::jsonb', ['"\\ud800"'])), 'data');
  t.equal(await faultOf(postgres.query(insert, ['x', ''])), 'data');
  t.equal(await faultOf(postgres.query(insert, [100, ''])), 'data');
  const long = Array.from({ length: 2_000 }, (_, index) => Math.sin(index)).join();
  t.equal(await faultOf(postgres.query(insert, [3, long])), 'data');
  t.equal(await faultOf(postgres.query(insert, [1, ''])), 'rolled_back');
  t.equal(await faultOf(postgres.query('SET statement_timeout = 10; SELECT pg_sleep(1)')), 'rolled_back');
  t.equal(await faultOf(postgres.query('SELECT FROM missing')), 'unavailable');
});

t.test('a read-only database and one that is not there are unavailable', async (t) => {
  const { postgres, url } = await withPostgres(t);
  await postgres.query('CREATE TABLE kept (n integer)');
  t.equal(
    await faultOf(
      postgres.transaction(async (transaction) => {
        await transaction.query('SET TRANSACTION READ ONLY');
        await transaction.query('INSERT INTO kept VALUES (1)');
      }),
    ),
    'unavailable',
  );
  for (const wrong of ['postgres://a:b@127.0.0.1:1/x', `${url}_missing`]) {
    const away = openPostgres({ url: wrong, logger: quietLogger });
    t.equal(await faultOf(away.query('SELECT 1')), 'unavailable');
    t.equal(await faultOf(away.transaction((transaction) => transaction.query('SELECT 1'))), 'unavailable');
    await away.close();
  }
});

t.test('a deadlock and a broken promise to other transactions are rolled back', async (t) => {
  const { postgres } = await withPostgres(t);
  await postgres.query('CREATE TABLE kept AS SELECT n, 0 AS value FROM generate_series(1, 2) AS n');
  const update = (transaction: Queryable, n: number) =>
    transaction.query('UPDATE kept SET value = value + 1 WHERE n = $1', [n]);
  let holding = 0;
  let onBothHold = (): void => {};
  const bothHold = new Promise<void>((resolve) => {
    onBothHold = resolve;
  });
  const updateBoth = (one: number, other: number) =>
    faultOf(
      postgres.transaction(async (transaction) => {
        await update(transaction, one);
        holding += 1;
        if (holding === 2) onBothHold();
        await bothHold;
        await update(transaction, other);
      }),
    );
  const opposite = await Promise.all([updateBoth(1, 2), updateBoth(2, 1)]);
  t.ok(opposite.includes('rolled_back'));
});

t.test('a backend that dies before COMMIT has written nothing; at COMMIT nobody knows', async (t) => {
  const { postgres, url } = await withPostgres(t);
  await postgres.query('CREATE TABLE kept (n integer)');
  const before = postgres.transaction(async (transaction) => {
    await transaction.query('INSERT INTO kept VALUES (1)');
    await terminate(postgres, await backendPid(transaction));
    await transaction.query('INSERT INTO kept VALUES (2)');
  });
  t.equal(await faultOf(before), 'unavailable');
  const at = postgres.transaction(async (transaction) => {
    await transaction.query('INSERT INTO kept VALUES (3)');
    await terminate(postgres, await backendPid(transaction));
  });
  t.equal(await faultOf(at), 'unknown');
  const other = openPostgres({ url, logger: quietLogger });
  await terminate(other, await backendPid(postgres));
  await other.close();
  t.same((await postgres.query('SELECT * FROM kept')).rows, [], 'the pool goes on with new connections');
});

t.test('a COMMIT after a failed statement that nobody minded is no success', async (t) => {
  const { postgres } = await withPostgres(t);
  const careless = postgres.transaction(async (transaction) => {
    await transaction.query('SELECT 1/0').catch(() => {});
  });
  t.equal(await faultOf(careless), 'rolled_back');
});

t.test('what is not an error of Postgres is unknown', (t) => {
  t.equal(classify(new Error('?')), 'unknown');
  t.equal(classify(undefined), 'unknown');
  t.end();
});
