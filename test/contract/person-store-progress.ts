/** Partitions: who owns them, where they stand, what was folded. */
import type { FoldedRange, PartitionSave, Progress, Saved } from '../../src/storage/person-store.ts';
import { groupIdentify, groupOf, identify, Owner, personOf, set } from '../support/person-works.ts';
import type { ContractTest } from './person-store.ts';

const PROGRESS: Progress = {
  firstOffset: 0,
  readPosition: 9,
  unfinished: [
    { from: 3, to: 4 },
    { from: 7, to: 7 },
  ],
  held: 2,
  inFlight: 1,
  fates: { row: 5, 'drop:duplicate': 1 },
};

const at = ({ partition }: Owner, foldedBelow: number): PartitionSave => ({
  ...partition,
  progress: PROGRESS,
  foldedBelow,
});

export function progressTests(test: ContractTest): void {
  test('who takes a partition learns what was folded, with its persons and groups', async (t, owner, {
    store,
  }) => {
    t.same(owner.acquired, {
      epoch: owner.acquired.epoch,
      foldedBelow: 0,
      folded: [],
      progress: { firstOffset: 0, readPosition: 0, unfinished: [], held: 0, inFlight: 0, fates: {} },
      isWhole: true,
    });
    await owner.save(
      await owner.work(set('ann', {}), identify('ann', 'anon')),
      await owner.work(groupIdentify('bob', groupOf(0, 'acme', { a: 1 }))),
    );
    const left = await owner.work(set('left out', {}));
    await owner.write(set('bob', { b: 1 }), identify('ann', 'bob'));
    await owner.save({ ...(await owner.work({ id: 'ann' })), checked: false });

    const { acquired } = await Owner.take(store);
    t.ok(acquired.epoch > owner.acquired.epoch);
    const [skipped] = left.records;
    t.equal(skipped?.offset, 3);
    t.same(offsetsOf(acquired.folded), [0, 1, 2, 4, 5, 6]);
    const names = (offset: number) => {
      const range = acquired.folded.find(({ from, to }) => from <= offset && offset <= to);
      return { persons: new Set(range?.persons), groups: range?.groups };
    };
    for (const offset of [0, 1]) t.ok(names(offset).persons.has(personOf('ann')));
    t.ok(names(2).persons.has(personOf('bob')));
    t.match(names(2).groups, [{ typeIndex: 0, key: 'acme' }]);
    for (const offset of [4, 5]) {
      t.ok(names(offset).persons.has(personOf('ann')));
      t.ok(names(offset).persons.has(personOf('bob')), 'also who was merged away');
    }
  });

  test('the offsets of a broken work are not folded', async (t, owner, { store }) => {
    const stale = await owner.work(set('ann', { a: 1 }));
    await owner.write(set('ann', { a: 2 }));
    t.same(await owner.save(stale), [{ kind: 'broken' }]);
    const { acquired } = await Owner.take(store);
    t.same(offsetsOf(acquired.folded), [1]);
  });

  test('a former owner writes nothing', async (t, owner, { store, andSees }) => {
    const other = await Owner.take(store, 1);
    const work = await owner.work(set('ann', {}));
    const newer = await Owner.take(store);
    const before = await andSees();
    await t.rejects(owner.save(work), { name: 'FencedError' });
    await t.rejects(store.save([other.partition, owner.partition], []), { name: 'FencedError' });
    await t.rejects(store.saveProgress([at(other, 4), at(owner, 4)]), { name: 'FencedError' });
    t.same(await andSees(), before);
    t.match((await Owner.take(store, 1)).acquired, { foldedBelow: 0, progress: { readPosition: 0 } });
    t.equal((await newer.save(work))[0]?.kind, 'saved');
  });

  test('who takes a partition waits for the save that is under way', async (t, owner, { store }) => {
    await owner.write(set('ann', { a: 1 }));
    const work = await owner.work(set('ann', { a: 2 }));
    await owner.write(set('ann', { a: 3 }));
    const taken: Promise<Owner>[] = [];
    const saved: readonly Saved[] = await owner.save({
      ...work,
      refold: (...persons) => {
        taken.push(Owner.take(store));
        return work.refold(...persons);
      },
    });
    t.equal(saved[0]?.kind, 'saved');
    const [next] = await Promise.all(taken);
    t.same(next && offsetsOf(next.acquired.folded), [0, 1, 2]);
  });

  test('progress comes back as it was saved, and what is below foldedBelow is forgotten', async (t, owner, {
    store,
  }) => {
    const other = await Owner.take(store, 1);
    for (const id of ['a', 'b', 'c', 'd']) {
      await owner.write(set(id, {}));
      await owner.work(set('gap', {}));
    }
    await other.write(set('other', {}));
    await store.saveProgress([at(other, 0), at(owner, 4)]);
    await store.saveProgress([at(owner, 2)]);
    const { acquired } = await Owner.take(store);
    t.same(acquired.progress, PROGRESS);
    t.ok(acquired.isWhole);
    t.equal(acquired.foldedBelow, 4, 'it never falls');
    t.same(offsetsOf(acquired.folded), [4, 6]);
    const { acquired: ofOther } = await Owner.take(store, 1);
    t.same(ofOther.progress, PROGRESS);
    t.same(offsetsOf(ofOther.folded), [0]);
  });
}

function offsetsOf(ranges: readonly FoldedRange[]): readonly number[] {
  const offsets = ranges.flatMap(({ from, to }) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index),
  );
  return offsets.sort((a, b) => a - b);
}
