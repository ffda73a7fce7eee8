/** Saves that meet other transactions in the middle: a retry, and never a wrong person. */
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { Owner, personOf, set, TEAM } from '../support/person-works.ts';
import { withPostgres } from '../support/postgres.ts';

async function waitFor(postgres: Postgres, wanted: number): Promise<void> {
  for (;;) {
    const { rows } = await postgres.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if ((rows[0]?.count ?? 0) >= wanted) return;
    await sleep(10);
  }
}

async function open(t: Test) {
  const { postgres } = await withPostgres(t);
  const store = createPersonStore(postgres);
  return { postgres, store, owner: await Owner.take(store) };
}

t.test(
  'a distinct id that somebody else takes in the middle of a save breaks its work, and no other',
  async (t) => {
    const { postgres, owner } = await open(t);
    const works = [await owner.work(set('taken', { a: 1 })), await owner.work(set('other', { a: 1 }))];
    let saving: Promise<readonly { kind: string }[]> | undefined;
    await postgres.transaction(async (elsewhere) => {
      const { rows } = await elsewhere.query<{ id: number }>(
        `INSERT INTO posthog_person (team_id, uuid, created_at, properties, properties_last_updated_at,
         properties_last_operation, is_identified, version)
       VALUES ($1, $2, now(), '{"b":1}', '{}', '{}', false, 0) RETURNING id`,
        [TEAM, personOf('somebody')],
      );
      await elsewhere.query(
        'INSERT INTO posthog_persondistinctid (team_id, person_id, distinct_id, version) VALUES ($1, $2, $3, 1)',
        [TEAM, rows[0]?.id, 'taken'],
      );
      saving = owner.save(...works);
      await waitFor(postgres, 1);
    });
    const saved = (await saving) ?? [];
    t.same(
      saved.map(({ kind }) => kind),
      ['broken', 'saved'],
    );
    const { rows } = await postgres.query<{ distinct_id: string; uuid: string; properties: object }>(
      `SELECT d.distinct_id, p.uuid, p.properties - '$creator_event_uuid' AS properties FROM posthog_persondistinctid d
     JOIN posthog_person p ON p.id = d.person_id ORDER BY d.distinct_id`,
    );
    t.same(rows, [
      { distinct_id: 'other', uuid: personOf('other'), properties: { a: 1 } },
      { distinct_id: 'taken', uuid: personOf('somebody'), properties: { b: 1 } },
    ]);
  },
);

t.test('a deadlock with somebody who locks in another order costs a second try', async (t) => {
  const { postgres, store, owner } = await open(t);
  await owner.write(set('first', { a: 1 }));
  await owner.write(set('second', { a: 1 }));
  const works = [await owner.work(set('first', { a: 2 })), await owner.work(set('second', { a: 2 }))];
  const LOCK = 'SELECT id FROM posthog_person WHERE uuid = $1 FOR UPDATE';
  let saving: Promise<readonly { kind: string }[]> | undefined;
  const elsewhere = postgres.transaction(async (transaction) => {
    await transaction.query(LOCK, [personOf('second')]);
    saving = owner.save(...works);
    await waitFor(postgres, 1);
    await transaction.query(LOCK, [personOf('first')]);
  });
  const outcome = await elsewhere.then(
    () => 'went on',
    () => 'gave way',
  );
  t.same(
    (await saving)?.map(({ kind }) => kind),
    ['saved', 'saved'],
  );
  t.comment(`the other transaction ${outcome}`);
  const found = await store.findByIds(
    [...(works[0]?.believed.ids.keys() ?? [])].map((distinctId) => ({ teamId: TEAM, distinctId })),
  );
  t.equal(found[0]?.person.properties['a'], 2);
});

t.test('a save that is always in the way of others gives up, and says why', async (t) => {
  const { postgres, owner } = await open(t);
  await postgres.query('CREATE SEQUENCE tries');
  await postgres.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM nextval('tries'); RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END $$`);
  await postgres.query(
    'CREATE TRIGGER refuse BEFORE INSERT ON posthog_persondistinctid FOR EACH ROW EXECUTE FUNCTION refuse()',
  );
  await t.rejects(owner.write(set('somebody', { a: 1 })), /not now/);
  const { rows } = await postgres.query<{ last_value: number }>('SELECT last_value FROM tries');
  t.equal(rows[0]?.last_value, LIMITS.postgres.saveTriesMax);
});
