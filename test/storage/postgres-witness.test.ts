import t, { type Test } from 'tap';
import type { PersonStore } from '../../src/storage/person-store.ts';
import { createPersonStore } from '../../src/storage/postgres/person-store.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { mergeDangerously, Owner, personOf, set } from '../support/person-works.ts';
import { withPostgres } from '../support/postgres.ts';

const [ANN, BOB, CAT] = [personOf('ann'), personOf('bob'), personOf('cat')];
const READ = `
  SELECT log_id, topic, partitions, offsets, persons::text[] AS persons, versions
  FROM tributary_witness ORDER BY place`;

async function open(t: Test): Promise<{ postgres: Postgres; store: PersonStore; owner: Owner }> {
  const { postgres } = await withPostgres(t);
  const store = createPersonStore(postgres, { witness: true });
  return { postgres, store, owner: await Owner.take(store) };
}

t.test(
  'the witness tells the folds of every save, in the order of their dispatch, with the versions after them',
  async (t) => {
    const { postgres, owner } = await open(t);
    await owner.save(
      await owner.work(set('ann', { a: 1 }), set('ann', { a: 2 })),
      await owner.work(set('bob', {})),
    );
    await owner.write(mergeDangerously('bob', 'ann'));
    const { rows } = await postgres.query(READ);
    const log = { log_id: 'log', topic: 'events_plugin_ingestion' };
    t.same(rows, [
      { ...log, partitions: [0, 0, 0], offsets: [0, 1, 2], persons: [ANN, BOB], versions: [0, 0] },
      { ...log, partitions: [0], offsets: [3], persons: [BOB], versions: [1] },
    ]);
  },
);

t.test('what was left out of a save, and a save that was rolled back, are not in the witness', async (t) => {
  const { postgres, owner } = await open(t);
  const late = await owner.work(set('ann', { a: 1 }));
  await owner.write(mergeDangerously('bob', 'ann'));
  const [broken] = await owner.save(late, await owner.work(set('cat', { c: 1 })));
  t.equal(broken?.kind, 'broken');
  const conflicting = [await owner.work(set('dan', {})), await owner.work(set('dan', {}))];
  await t.rejects(owner.save(...conflicting));
  const { rows } = await postgres.query<{ persons: string[] }>(READ);
  t.same(
    rows.map(({ persons }) => persons),
    [[BOB], [CAT]],
  );
});

t.test('without being asked for it, a save writes no witness', async (t) => {
  const { postgres } = await withPostgres(t);
  const owner = await Owner.take(createPersonStore(postgres));
  await owner.write(set('ann', { a: 1 }));
  t.same((await postgres.query(READ)).rows, []);
});
