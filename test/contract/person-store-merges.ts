/** Works of several persons: merges, and what becomes of them when something was not as believed. */
import { AT_MS, identify, mergeDangerously, Owner, personOf, set, TEAM } from '../support/person-works.ts';
import { type ContractTest, idsOf, propertiesOf } from './person-store.ts';

const [ANN, BOB, CAT] = [personOf('ann'), personOf('bob'), personOf('cat')];

export function mergeTests(test: ContractTest): void {
  test('a merge moves all ids of its source, also those that it did not know, and deletes it', async (t, owner, {
    andSees,
  }) => {
    await owner.write({ ...set('ann', { a: 1, b: 1 }), atMs: AT_MS - 5_000 });
    await owner.write(identify('ann', 'unknown'));
    await owner.write(set('bob', { b: 2 }));
    const saved = await owner.write(mergeDangerously('bob', 'ann'), set('new', {}));
    t.same(byId(saved.moved), [
      { distinctId: 'ann', person: BOB, version: 1 },
      { distinctId: 'unknown', person: BOB, version: 2 },
    ]);
    const after = await andSees();
    t.same(idsOf(after), {
      ann: [BOB, 1],
      unknown: [BOB, 2],
      bob: [BOB, 0],
      new: [personOf('new'), 0],
    });
    t.same(propertiesOf(after), { [BOB]: { a: 1, b: 2 }, [personOf('new')]: {} });
    t.match(
      after.persons.find(({ uuid }) => uuid === BOB),
      { version: 2, createdAtMs: AT_MS - 5_000, isIdentified: true },
    );
    t.same(after.merged, [{ uuid: ANN, teamId: TEAM, createdAtMs: AT_MS - 5_000, version: 101 }]);
  });

  test('a merge that the rows forbid is refused, and leaves nothing of the source behind', async (t, owner, {
    andSees,
  }) => {
    await owner.write(set('ann', { a: 1 }));
    await owner.write(set('bob', { b: 2 }));
    const work = await owner.work({ ...identify('bob', 'ann') }, set('bob', { c: 3 }));
    t.equal(work.folded.merged.length, 1);
    await owner.write(identify('ann', 'else'));
    const [saved] = await owner.save(work);
    t.match(saved, {
      kind: 'saved',
      moved: [],
      folded: { merged: [], outcomes: [{ warnings: [{ type: 'cannot_merge_already_identified' }] }, {}] },
    });
    const after = await andSees();
    t.same(propertiesOf(after), { [ANN]: { a: 1 }, [BOB]: { b: 2, c: 3 } });
    t.same(after.merged, []);
    t.match(idsOf(after), { ann: [ANN, 0], else: [ANN, 1], bob: [BOB, 0] });
  });

  test('of a chain of merges all ids lead to the last person', async (t, owner, { andSees }) => {
    await owner.write(set('ann', { a: 1 }));
    await owner.write(set('bob', { b: 1 }));
    await owner.write(set('cat', { c: 1 }));
    const { folded, moved } = await owner.write(
      mergeDangerously('bob', 'ann'),
      set('made', { d: 1 }),
      mergeDangerously('cat', 'bob'),
      mergeDangerously('cat', 'made'),
    );
    t.same(
      folded.merged.map(({ into }) => into),
      [CAT, CAT, CAT],
    );
    t.same(byId(moved), [
      { distinctId: 'ann', person: CAT, version: 1 },
      { distinctId: 'bob', person: CAT, version: 1 },
    ]);
    const after = await andSees();
    t.same(idsOf(after), { ann: [CAT, 1], bob: [CAT, 1], cat: [CAT, 0], made: [CAT, 1] });
    t.same(propertiesOf(after), { [CAT]: { a: 1, b: 1, c: 1, d: 1 } });
    t.same(
      new Set(after.merged.map(({ uuid }) => uuid)),
      new Set([ANN, BOB, personOf('made')]),
      'also one that was never written',
    );
  });

  test('a person that is there, although the fold made and merged it away, is merged as it is', async (t, owner, {
    andSees,
  }) => {
    await owner.write({ ...set('first', { a: 1 }), personUuid: ANN });
    await owner.write(set('bob', {}));
    const { moved } = await owner.write(set('ann', { b: 1 }), identify('bob', 'ann'));
    t.same(moved, [{ distinctId: 'first', person: BOB, version: 2 }]);
    const after = await andSees();
    t.same(idsOf(after), { first: [BOB, 2], ann: [BOB, 1], bob: [BOB, 0] });
    t.same(propertiesOf(after), { [BOB]: { a: 1, b: 1 } });
  });

  test('a merge into a person that the same save makes', async (t, owner, { andSees }) => {
    await owner.write(set('ann', { a: 1 }));
    await owner.write(set('bob', { b: 2 }), identify('bob', 'ann'));
    const after = await andSees();
    t.same(idsOf(after), { ann: [BOB, 1], bob: [BOB, 0] });
    t.same(propertiesOf(after), { [BOB]: { a: 1, b: 2 } });
  });

  test('a work whose person was merged away in the meantime is broken', async (t, owner, { andSees }) => {
    await owner.write(set('ann', {}));
    await owner.write(set('bob', {}));
    const late = await owner.work(set('ann', { a: 'late' }));
    await owner.write(identify('bob', 'ann'));
    const before = await andSees();
    t.same(await owner.save(late), [{ kind: 'broken' }]);
    t.same(await andSees(), before);
  });

  test('a merge that would move too many ids is a failed event, and the rest is written', async (t, owner, {
    mergeIdsMax,
    andSees,
  }) => {
    const others = Array.from({ length: mergeIdsMax }, (_, index) => `ann${index}`);
    const [last = '', ...rest] = others;
    await owner.write(...rest.map((other) => identify('ann', other)));
    await owner.write(set('bob', { b: 1 }));
    await owner.write(set('cat', { c: 1 }));
    const merge = [set('bob', { b: 2 }), mergeDangerously('bob', 'ann'), mergeDangerously('bob', 'cat')];

    const full = await owner.work(...merge);
    await owner.write(identify('ann', last));
    await owner.write(set('bob', { d: 1 }));
    const [saved] = await owner.save(full);
    t.match(saved, {
      moved: [{ distinctId: 'cat' }],
      folded: {
        merged: [{ person: { uuid: CAT } }],
        outcomes: [{ kind: 'row' }, { kind: 'failed', reason: 'merge_too_large' }, { kind: 'row' }],
      },
    });
    const after = await andSees();
    t.same(propertiesOf(after), { [ANN]: {}, [BOB]: { b: 2, c: 1, d: 1 } });
    const { bob: _bob, cat: _cat, ...ofAnn } = idsOf(after);
    t.ok(Object.values(ofAnn).every(([person]) => person === ANN));
    t.equal(Object.keys(ofAnn).length, mergeIdsMax + 1);

    await owner.write(identify('ann', 'dan'));
    const whole = await owner.write(mergeDangerously('ann', 'bob'));
    t.equal(whole.moved.length, 2, 'the other way it goes');
  });

  test('as many ids as one merge may move are moved', async (t, owner, { mergeIdsMax, andSees }) => {
    const others = Array.from({ length: mergeIdsMax - 1 }, (_, index) => `ann${index}`);
    await owner.write(...others.map((other) => identify('ann', other)));
    await owner.write(set('bob', {}));
    const { moved } = await owner.write(mergeDangerously('bob', 'ann'));
    t.equal(moved.length, mergeIdsMax);
    t.ok(Object.values(idsOf(await andSees())).every(([person]) => person === BOB));
  });

  test('of two opposite merges at the same time one is written, and the other changes nothing', async (t, _owner, {
    store,
    andSees,
  }) => {
    const one = await Owner.take(store, 1);
    const other = await Owner.take(store, 2);
    const names = Array.from({ length: 12 }, (_, index) => `${index}`);
    for (const name of names) await one.write(set(`a${name}`, { a: 1 }), set(`b${name}`, { b: 1 }));
    await Promise.all(
      names.map(async (name) => {
        const works = [
          await one.work(identify(`a${name}`, `b${name}`)),
          await other.work(identify(`b${name}`, `a${name}`)),
        ] as const;
        const results = await Promise.allSettled([one.save(works[0]), other.save(works[1])]);
        const kinds = results.map((result) =>
          result.status === 'fulfilled' ? result.value[0]?.kind : 'rejected',
        );
        t.equal(kinds.filter((kind) => kind === 'saved').length, 1, kinds.join());
      }),
    );
    const after = await andSees();
    const ids = idsOf(after);
    for (const name of names) t.equal(ids[`a${name}`]?.[0], ids[`b${name}`]?.[0]);
    t.equal(after.persons.length, names.length);
    t.equal(after.merged.length, names.length);
    for (const properties of Object.values(propertiesOf(after))) t.same(properties, { a: 1, b: 1 });
  });
}

const byId = <Row extends { readonly distinctId: string }>(rows: readonly Row[]): readonly Row[] =>
  [...rows].sort((a, b) => (a.distinctId < b.distinctId ? -1 : 1));
