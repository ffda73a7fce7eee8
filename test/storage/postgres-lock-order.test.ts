/** Two saves of the same persons never wait for each other in a circle. */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import { Owner, personOf, set } from '../support/person-works.ts';
import { withPostgres } from '../support/postgres.ts';

const LOCK = 'SELECT id FROM posthog_person WHERE uuid = $1 FOR UPDATE';
const WAITING = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;

t.test('a save locks its persons in the order of their rows, in whatever order they come', async (t) => {
  const { postgres } = await withPostgres(t);
  const owner = await Owner.take(createPersonStore(postgres));
  const ids = ['first', 'second', 'third'];
  for (const id of ids) await owner.write(set(id, { a: 1 }));
  const works = await Promise.all(['third', 'first', 'second'].map((id) => owner.work(set(id, { a: 2 }))));
  let saving: Promise<readonly { kind: string }[]> | undefined;
  await postgres.transaction(async (elsewhere) => {
    await elsewhere.query(LOCK, [personOf('first')]);
    saving = owner.save(...works);
    while ((await postgres.query(WAITING)).rowCount === 0) await sleep(10);
    // Who waits for the first of them has none of the others yet.
    for (const id of ['second', 'third']) {
      const { rows } = await elsewhere.query(`${LOCK} NOWAIT`, [personOf(id)]);
      t.equal(rows.length, 1, id);
    }
  });
  t.same(
    (await saving)?.map(({ kind }) => kind),
    ['saved', 'saved', 'saved'],
  );
});
