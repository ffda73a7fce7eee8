import t from 'tap';
import { Committer } from '../../src/actors/committer.ts';

t.test('a log that takes no commit is told of once, and again after it has taken one', async (t) => {
  let isAway = true;
  const told: string[] = [];
  const taken: number[] = [];
  const committer = new Committer(
    async (offset) => {
      if (isAway) throw new Error(`${offset} is not taken`);
      taken.push(offset);
    },
    (error) => told.push(String(error)),
  );
  const reach = async (offset: number) => {
    committer.reach(offset);
    await committer.settled();
  };
  for (const offset of [1, 2, 3]) await reach(offset);
  t.same(told, ['Error: 1 is not taken']);
  isAway = false;
  await reach(4);
  isAway = true;
  for (const offset of [5, 6]) await reach(offset);
  t.same(told, ['Error: 1 is not taken', 'Error: 5 is not taken']);
  t.same(taken, [4]);
});
