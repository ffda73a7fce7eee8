import t from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { openPostgres } from '../../src/storage/postgres/pool.ts';
import { createProject } from '../../src/storage/postgres/projects.ts';
import { readOnlyQuery } from '../../src/storage/postgres/query.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { withPostgres } from '../support/postgres.ts';

t.test('rows come as JSON values, times in UTC', async (t) => {
  const { postgres } = await withPostgres(t);
  await createProject(postgres, { name: 'First', token: 'phc_first' });
  t.same(
    await readOnlyQuery(
      postgres,
      `SELECT id, api_token, 9007199254740992 AS large, 12::bigint AS small, 1.50 AS exact, 0.5::float8 AS rough,
         '{"a": 1}'::jsonb AS json, ARRAY[1, 2] AS list, NULL AS nothing, true AS yes,
         '2024-01-02 03:04:05+02'::timestamptz AS moment, '2024-01-02'::date AS day
       FROM posthog_team`,
    ),
    [
      {
        id: 1,
        api_token: 'phc_first',
        large: '9007199254740992',
        small: 12,
        exact: '1.50',
        rough: 0.5,
        json: { a: 1 },
        list: [1, 2],
        nothing: null,
        yes: true,
        moment: '2024-01-02 01:04:05+00',
        day: '2024-01-02',
      },
    ],
  );
  t.same(await readOnlyQuery(postgres, 'WITH x AS (SELECT 1 AS a) SELECT * FROM x WHERE a = 2'), []);
});

t.test("a failing query is refused with Postgres' own message", async (t) => {
  const { postgres } = await withPostgres(t);
  await t.rejects(readOnlyQuery(postgres, 'SELECT nothing FROM posthog_team'), {
    name: 'QueryRefusedError',
    message: 'column "nothing" does not exist',
  });
});

t.test('whatever writes, takes two statements or reaches past the tables is refused', async (t) => {
  const { postgres } = await withPostgres(t);
  await createProject(postgres, { name: 'First', token: 'phc_first' });
  const refused = [
    "INSERT INTO posthog_team (api_token) VALUES ('x')",
    'UPDATE posthog_team SET name = name',
    'WITH gone AS (DELETE FROM posthog_team RETURNING 1) SELECT * FROM gone',
    'DROP TABLE posthog_team',
    'CREATE TABLE mine ()',
    'SELECT * FROM posthog_team FOR UPDATE',
    'EXPLAIN ANALYZE DELETE FROM posthog_team',
    "SELECT nextval('posthog_team_id_seq')",
    "SELECT setval('posthog_team_id_seq', 9)",
    'SELECT 1; SELECT 2',
    'COMMIT; DELETE FROM posthog_team',
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT pg_ls_dir('.')",
    "COPY posthog_team TO '/tmp/x'",
    "COPY posthog_team TO PROGRAM 'cat'",
    "COPY posthog_team FROM PROGRAM 'echo'",
    'COPY posthog_team FROM STDIN',
    'SELECT lo_create(0)',
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/x')",
    'SELECT pg_reload_conf()',
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $$tributary$$',
    'SELECT rolpassword FROM pg_authid',
    'SELECT * FROM pg_shadow',
    "SELECT set_config('role', 'tributary', false)",
    "SELECT set_config('session_authorization', 'tributary', false)",
    "SELECT set_config('transaction_read_only', 'off', true)",
    'SET ROLE tributary',
    'SET SESSION AUTHORIZATION tributary',
    "ALTER ROLE tributary_reader PASSWORD 'x'",
    'ALTER SYSTEM SET fsync = off',
    "DO $$ BEGIN PERFORM set_config('role', 'tributary', false); END $$",
    'DO $$ BEGIN DELETE FROM posthog_team; END $$',
    'DO $$ BEGIN COMMIT; DELETE FROM posthog_team; END $$',
    'CREATE EXTENSION dblink',
    'LOCK TABLE posthog_team',
    'VACUUM posthog_team',
  ];
  for (const sql of refused)
    await t.rejects(readOnlyQuery(postgres, sql), { name: 'QueryRefusedError' }, sql);
  // These are taken, and do nothing that outlives them.
  for (const sql of [
    'RESET ROLE',
    'COMMIT',
    'SET TRANSACTION READ WRITE',
    'LISTEN x',
    'COPY (SELECT 1) TO STDOUT',
    '',
  ]) {
    t.same(await readOnlyQuery(postgres, sql), [], sql);
  }
  t.same(await readOnlyQuery(postgres, 'SELECT count(*) FROM posthog_team'), [{ count: 1 }]);
});

t.test('a role without superuser queries as itself, and cannot write either', async (t) => {
  const { postgres, url } = await withPostgres(t);
  await postgres.query("CREATE ROLE ordinary LOGIN PASSWORD 'ordinary'");
  await postgres.query('GRANT ALL ON posthog_team TO ordinary');
  const target = new URL(url);
  target.username = 'ordinary';
  target.password = 'ordinary';
  const ordinary = openPostgres({ url: target.href, logger: quietLogger });
  t.same(await readOnlyQuery(ordinary, 'SELECT current_user AS me'), [{ me: 'ordinary' }]);
  for (const sql of [
    "INSERT INTO posthog_team (api_token) VALUES ('x')",
    'DO $$ BEGIN COMMIT; DELETE FROM posthog_team; END $$',
    'DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM posthog_team; END $$',
    "SELECT set_config('transaction_read_only', 'off', true)",
  ]) {
    await t.rejects(readOnlyQuery(ordinary, sql), { name: 'QueryRefusedError' }, sql);
  }
  await ordinary.close();
  await postgres.query('DROP OWNED BY ordinary');
  await postgres.query('DROP ROLE ordinary');
});

t.test('an answer that is too large is refused, in rows and in bytes', async (t) => {
  const { postgres } = await withPostgres(t);
  const { sqlRowsMax } = LIMITS.console;
  t.equal((await readOnlyQuery(postgres, `SELECT generate_series(1, ${sqlRowsMax})`)).length, sqlRowsMax);
  for (const sql of [
    'SELECT generate_series(1, 100000000)',
    "SELECT repeat('x', 1000000) FROM generate_series(1, 1000)",
  ]) {
    await t.rejects(readOnlyQuery(postgres, sql), { message: /ask for less, with LIMIT/ });
  }
});

t.test('few queries run at a time, and one more is told so', async (t) => {
  const { postgres } = await withPostgres(t);
  const slow = Array.from({ length: LIMITS.console.sqlConcurrencyMax }, () =>
    readOnlyQuery(postgres, 'SELECT pg_sleep(0.3)'),
  );
  await t.rejects(readOnlyQuery(postgres, 'SELECT 1'), { message: /queries are running already/ });
  await Promise.all(slow);
  t.same(await readOnlyQuery(postgres, 'SELECT 1 AS one'), [{ one: 1 }]);
});

t.test('a Postgres that is away is not a fault of the query', async (t) => {
  const away = openPostgres({ url: 'postgres://a:b@127.0.0.1:1/x', logger: quietLogger });
  await t.rejects(readOnlyQuery(away, 'SELECT 1'), { name: 'ConnectionError' });
  await away.close();
});
