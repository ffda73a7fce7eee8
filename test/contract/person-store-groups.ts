/** Group types get their places once; changes of groups are folded in order, whoever else changes them. */
import { PROPERTIES_BYTES_MAX } from '../../src/person/size.ts';
import { AT_MS, groupIdentify, groupOf, shuffled, TEAM } from '../support/person-works.ts';
import type { ContractTest } from './person-store.ts';

const asType = (type: string) => ({ teamId: TEAM, type });

export function groupTests(test: ContractTest): void {
  test('five group types get places in the order in which they come, a sixth gets none', async (t, _owner, {
    store,
  }) => {
    t.same(await store.groupTypes(['b', 'a', 'b'].map(asType)), [
      { ...asType('b'), index: 0 },
      { ...asType('a'), index: 1 },
      { ...asType('b'), index: 0 },
    ]);
    const rest = await store.groupTypes(['__proto__', 'a', "d'", 'e', 'sixth', 'b'].map(asType));
    t.same(
      rest.map(({ index }) => index),
      [2, 1, 3, 4, undefined, 0],
    );
    t.same(await store.groupTypes(['__proto__', 'a', "d'", 'e', 'sixth', 'b'].map(asType)), rest);
    t.same(await store.groupTypes([]), []);
  });

  test('whoever asks for a new group type at the same time gets the same place', async (t, _owner, {
    store,
  }) => {
    const types = ['a', 'b', 'c', 'd', 'e'];
    const askers = Array.from({ length: 10 }, (_, shift) => [
      ...types.slice(shift % 5),
      ...types.slice(0, shift % 5),
    ]);
    const answers = await Promise.all(askers.map((asked) => store.groupTypes(asked.slice(0, 3).map(asType))));
    const places = new Map(answers.flat().map(({ type, index }) => [type, index]));
    t.same([...places.values()].sort(), [0, 1, 2, 3, 4]);
    for (const { type, index } of answers.flat()) t.equal(index, places.get(type));
  });

  test("a group's changes are folded in order, over all works, and answered with the last", async (t, owner, {
    store,
    andSees,
  }) => {
    const works = [
      await owner.work(
        groupIdentify('ann', groupOf(0, 'acme', { a: 1, b: 1 })),
        groupIdentify('ann', groupOf(1, 'acme', { other: true })),
      ),
      await owner.work(groupIdentify('bob', groupOf(0, 'acme', { b: 2 }, AT_MS - 1_000))),
      await owner.work(groupIdentify('cat', groupOf(0, 'acme', { b: 2 }))),
    ];
    const saved = await owner.save(...works);
    const acme = {
      teamId: TEAM,
      typeIndex: 0,
      key: 'acme',
      properties: { a: 1, b: 2 },
      createdAtMs: AT_MS - 1_000,
      version: 2,
    };
    const other = {
      teamId: TEAM,
      typeIndex: 1,
      key: 'acme',
      properties: { other: true },
      createdAtMs: AT_MS,
      version: 1,
    };
    t.same(
      saved.map((one) => one.kind === 'saved' && one.groups),
      [[other], [acme], []],
    );
    t.same(new Set((await andSees()).groups), new Set([acme, other]));
    const asked = [groupOf(0, 'acme', {}), groupOf(0, 'none', {}), groupOf(0, 'acme', {})];
    t.same(new Set(await store.findGroups(asked)), new Set([acme]));
  });

  test('a change that would make a group too large is left out, and the others are not', async (t, owner, {
    andSees,
  }) => {
    const half = 'x'.repeat(PROPERTIES_BYTES_MAX / 2);
    const tooMuch = groupOf(0, 'acme', { b: half });
    const never = groupOf(0, 'never', { a: half, b: half });
    const saved = await owner.save(
      await owner.work(groupIdentify('ann', groupOf(0, 'acme', { a: half }))),
      await owner.work(groupIdentify('bob', tooMuch), groupIdentify('bob', never)),
      await owner.work(groupIdentify('cat', groupOf(0, 'acme', { c: 1 }))),
    );
    t.same(
      saved.map((one) => one.kind === 'saved' && one.oversized),
      [[], [tooMuch, never], []],
    );
    t.same(
      (await andSees()).groups.map(({ key, properties, version }) => ({ key, properties, version })),
      [{ key: 'acme', properties: { a: half, c: 1 }, version: 2 }],
    );
  });

  test('changes of the same groups by many saves at the same time lose nothing', async (t, owner, {
    andSees,
  }) => {
    const plain = Array.from({ length: 40 }, (_, index) => `group ${index}`);
    const keys = ['1', '__proto__', 'a "quote"', "a 'quote'", 'x'.repeat(400), ...plain];
    const savers = [0, 1, 2, 3, 4, 5];
    // The first time the groups are made, the second time they are there.
    for (const time of ['a', 'b']) {
      const works = await Promise.all(
        savers.map((saver) => {
          const set = { [`${time}${saver}`]: saver };
          const changes = shuffled(keys, saver).map((key) => groupOf(2, key, set));
          return owner.work(...changes.map((change) => groupIdentify(`person ${saver}`, change)));
        }),
      );
      const saved = await Promise.all(works.map((work) => owner.save(work)));
      t.ok(saved.flat().every(({ kind }) => kind === 'saved'));
    }
    const { groups } = await andSees();
    t.same(new Set(groups.map(({ key }) => key)), new Set(keys));
    for (const { properties, version } of groups) {
      t.equal(Object.keys(properties).length, 2 * savers.length);
      t.equal(version, 2 * savers.length);
    }
  });
}
