import t from 'tap';
import { drain, type Stage } from '../../src/actors/drain.ts';

/** A stage with so much to do; what it is done with it may give to another one. */
function stageOf(work: number, giveTo: (number: number) => void = () => {}) {
  let left = work;
  const stage: Stage = {
    get isIdle() {
      return left === 0;
    },
    async drained() {
      for (; left > 0; left--) {
        await Promise.resolve();
        giveTo(left);
      }
    },
  };
  return { stage, add: () => left++ };
}

t.test('all are idle in the end, although a later one gives something back to an earlier one', async (t) => {
  const first = stageOf(1);
  const second = stageOf(3, () => first.add());
  const stages = [first.stage, second.stage];
  await drain(stages);
  t.same(
    stages.map(({ isIdle }) => isIdle),
    [true, true],
  );
});

t.test('nothing is waited for where all are idle', async () => {
  await drain([stageOf(0).stage]);
});
