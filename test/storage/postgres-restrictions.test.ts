import t from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { createProject } from '../../src/storage/postgres/projects.ts';
import { restrict, unrestrict } from '../../src/storage/postgres/restrictions.ts';
import { withPostgres } from '../support/postgres.ts';

const { distinctIdCharsMax } = LIMITS.capture;

t.test('an id has as many characters as one of an event, whatever they take', async (t) => {
  const { postgres } = await withPostgres(t);
  const { id } = await createProject(postgres, { name: 'Known', token: undefined });
  const distinctId = '🦊'.repeat(distinctIdCharsMax);
  t.match(await restrict(postgres, id, { restriction: 'drop', distinctId }), [{ distinct_id: distinctId }]);
  for (const impossible of [`${distinctId}🦊`, '', ' ', 'a\0']) {
    const wanted = { restriction: 'drop', distinctId: impossible };
    await t.rejects(restrict(postgres, id, wanted), { message: /a distinct id has 1 to/ });
  }
});

t.test('what got into the table by hand and makes no sense can be lifted', async (t) => {
  const { postgres } = await withPostgres(t);
  const { id } = await createProject(postgres, { name: 'Known', token: undefined });
  const distinctId = 'x'.repeat(distinctIdCharsMax + 1);
  await postgres.query(
    'ALTER TABLE tributary_restriction DROP CONSTRAINT tributary_restriction_restriction_check',
  );
  await postgres.query(
    "INSERT INTO tributary_restriction (team_id, restriction, distinct_id) VALUES ($1, 'sieve', NULL), ($1, 'drop', $2)",
    [id, distinctId],
  );
  t.match(await unrestrict(postgres, id, { restriction: 'sieve', distinctId: undefined }), [
    { restriction: 'drop' },
  ]);
  t.same(await unrestrict(postgres, id, { restriction: 'drop', distinctId }), []);
});
