import t from 'tap';
import { migratePostgres, pendingMigrations } from '../../src/storage/postgres/migrate.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { withEmptyPostgres, withPostgres } from '../support/postgres.ts';

const logger = quietLogger;

t.test('migrating makes the tables, and a second time changes nothing', async (t) => {
  const { postgres } = await withEmptyPostgres(t);
  t.match(await pendingMigrations(postgres), ['0001_posthog.sql']);
  await migratePostgres(postgres, logger);
  t.same(await pendingMigrations(postgres), []);
  await postgres.query("INSERT INTO posthog_team (name, api_token) VALUES ('kept', 'phc_kept')");
  await migratePostgres(postgres, logger);
  const { rows } = await postgres.query('SELECT name FROM posthog_team');
  t.same(rows, [{ name: 'kept' }]);
});

t.test('of several processes that migrate at once, each file is run by one', async (t) => {
  const { postgres } = await withEmptyPostgres(t);
  const directory = t.testdir({
    '0001_first.sql': 'CREATE TABLE ran (file text); SELECT pg_sleep(0.1); INSERT INTO ran VALUES (1);',
    '0002_second.sql': 'INSERT INTO ran VALUES (2);',
    'README.md': 'not a migration',
  });
  // The tables that every migration ends with checking.
  await migratePostgres(postgres, logger);
  await postgres.query('DELETE FROM tributary_migration');
  await Promise.all(Array.from({ length: 4 }, () => migratePostgres(postgres, logger, directory)));
  const { rows } = await postgres.query('SELECT file FROM ran ORDER BY file');
  t.same(rows, [{ file: '1' }, { file: '2' }]);
});

t.test('a migration that fails is named, changes nothing, and is run again', async (t) => {
  const { postgres } = await withEmptyPostgres(t);
  const directory = t.testdir({ '0001_bad.sql': 'CREATE TABLE half (); SELECT 1/0;' });
  await t.rejects(migratePostgres(postgres, logger, directory), {
    name: 'MigrationError',
    message: 'migration 0001_bad.sql failed and changed nothing: division by zero',
  });
  t.same(await pendingMigrations(postgres, directory), ['0001_bad.sql']);
  await t.rejects(postgres.query('SELECT FROM half'), { message: /does not exist/ });
});

t.test('two files of one number are an error', async (t) => {
  const { postgres } = await withEmptyPostgres(t);
  const directory = t.testdir({ '0001_a.sql': '', '0001_b.sql': '' });
  await t.rejects(migratePostgres(postgres, logger, directory), {
    message: '0001_a.sql and 0001_b.sql have the same number',
  });
});

t.test('tables that were there are not altered, and what does not fit in them is named', async (t) => {
  const { postgres } = await withEmptyPostgres(t);
  await postgres.query('CREATE TABLE posthog_person (id serial, team_id integer, uuid text, version bigint)');
  await t.rejects(migratePostgres(postgres, logger), { name: 'MigrationError' });
  const { rows } = await postgres.query<{ column_name: string }>(
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'posthog_person'",
  );
  t.equal(rows.length, 4);
});

t.test('a column of another type and a missing one are named with what is needed', async (t) => {
  const { postgres } = await withPostgres(t);
  await postgres.query('ALTER TABLE posthog_person DROP COLUMN version');
  await postgres.query('ALTER TABLE posthog_team ALTER COLUMN anonymize_ips DROP DEFAULT');
  await postgres.query('ALTER TABLE posthog_team ALTER COLUMN anonymize_ips TYPE text');
  await t.rejects(migratePostgres(postgres, logger), {
    message:
      'the database does not fit: posthog_team.anonymize_ips is text, needed is boolean; ' +
      'posthog_person.version is missing, needed is integer or bigint',
  });
});

t.test("the tables hold PostHog's rules", async (t) => {
  const { postgres } = await withPostgres(t);
  const insertPerson = (properties: string) =>
    postgres.query<{ id: number }>(
      `INSERT INTO posthog_person (team_id, uuid, created_at, properties, is_identified, version)
       VALUES (1, gen_random_uuid(), now(), $1, false, 0) RETURNING id`,
      [properties],
    );
  const noise = Array.from({ length: 100_000 }, (_, index) => `${index} ${Math.sin(index)}`);
  await t.rejects(insertPerson(JSON.stringify(noise)), { message: /check_properties_size/ });
  const { rows } = await insertPerson('{}');
  const map = `INSERT INTO posthog_persondistinctid (team_id, person_id, distinct_id, version) VALUES (1, $1, 'x', 0)`;
  await postgres.query(map, [rows[0]?.id]);
  await t.rejects(postgres.query(map, [rows[0]?.id]), { code: '23505' });
  // Checked at COMMIT only.
  await t.rejects(
    postgres.transaction(async (transaction) => {
      await transaction.query('DELETE FROM posthog_person');
      await transaction.query('SELECT 1');
    }),
    { code: '23503' },
  );
});
