import t from 'tap';
import {
  createProject,
  ensureDevProject,
  listProjects,
  setProject,
} from '../../src/storage/postgres/projects.ts';
import { withPostgres } from '../support/postgres.ts';

t.test('a project is made with a random token, or with the one given', async (t) => {
  const { postgres } = await withPostgres(t);
  const first = await createProject(postgres, { name: 'First' });
  const second = await createProject(postgres, { name: 'Second' });
  const named = await createProject(postgres, { name: 'Named', token: 'my-token' });
  t.match(first.api_token, /^phc_[0-9A-Za-z]{43}$/);
  t.not(first.api_token, second.api_token);
  t.equal(named.api_token, 'my-token');
  t.same(await listProjects(postgres), [first, second, named]);
  const { rows } = await postgres.query('SELECT FROM posthog_team WHERE project_id = id');
  t.equal(rows.length, 3);
});

t.test('a name or token that does not do is refused with what would', async (t) => {
  const { postgres } = await withPostgres(t);
  await createProject(postgres, { name: 'First', token: 'taken' });
  await t.rejects(createProject(postgres, { name: 'Second', token: 'taken' }), {
    name: 'ProjectError',
    message: 'token taken belongs to another project: choose another one',
  });
  for (const token of ['', 'with space', 'phx_personal', 'é', 'x'.repeat(65), 'NUL\0']) {
    await t.rejects(createProject(postgres, { name: 'x', token }), { message: /1 to 64 ASCII characters/ });
  }
  for (const name of ['', '  ', 'x'.repeat(201), 'NUL\0']) {
    await t.rejects(createProject(postgres, { name }), { message: /1 to 200 characters/ });
  }
  t.equal((await listProjects(postgres)).length, 1);
});

t.test('settings change one by one or together, and nothing changes when one is wrong', async (t) => {
  const { postgres } = await withPostgres(t);
  const { id } = await createProject(postgres, { name: 'First' });
  t.match(await setProject(postgres, id, { anonymize_ips: 'true' }), { anonymize_ips: true, name: 'First' });
  t.match(await setProject(postgres, id, { person_processing_opt_out: true, name: 'Other' }), {
    anonymize_ips: true,
    person_processing_opt_out: true,
    name: 'Other',
  });
  const before = await listProjects(postgres);
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ name: 'Third', api_token: 'x' }, /no setting api_token: it has name, anonymize_ips, person_/],
    [{ name: 'Third', constructor: 'x' }, /no setting constructor/],
    [{ name: 'Third', anonymize_ips: 'yes' }, /anonymize_ips "yes": needed is true or false/],
    [{ anonymize_ips: false, name: 7 }, /name 7: needed are/],
  ];
  for (const [changes, message] of wrong) {
    await t.rejects(setProject(postgres, id, changes), { name: 'ProjectError', message });
  }
  t.same(await listProjects(postgres), before);
  await t.rejects(setProject(postgres, 99, { name: 'x' }), { message: 'there is no project 99' });
});

t.test('the development project is number 1, made once, and the next one is number 2', async (t) => {
  const { postgres } = await withPostgres(t);
  await Promise.all([ensureDevProject(postgres), ensureDevProject(postgres)]);
  await ensureDevProject(postgres);
  t.match(await listProjects(postgres), [{ id: 1, api_token: 'phc_tributary_dev' }]);
  t.equal((await createProject(postgres, { name: 'Next' })).id, 2);
});

t.test('a project that has number 1 already stays as it is', async (t) => {
  const { postgres } = await withPostgres(t);
  const mine = await createProject(postgres, { name: 'Mine' });
  await ensureDevProject(postgres);
  t.same(await listProjects(postgres), [mine]);
});
