/** Persons of one work each: what is believed, what is there, what is written. */
import fc from 'fast-check';
import { asDistinctId } from '../../src/event/ids.ts';
import { groupIdentify, groupOf, identify, personOf, set, shuffled, TEAM } from '../support/person-works.ts';
import { type ContractTest, idsOf, propertiesOf } from './person-store.ts';

export function beliefTests(test: ContractTest): void {
  test('a new person and its id come back as they were folded', async (t, owner, { store, andSees }) => {
    const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 400 }).filter(fits);
    const json = fc.jsonValue({ stringUnit: 'grapheme' }).map((value) => JSON.parse(JSON.stringify(value)));
    const $set = fc.dictionary(fc.oneof(fc.constant('__proto__'), fc.string()), json, {
      noNullPrototype: true,
    });
    const atMs = fc.integer({ min: -60_000_000_000_000, max: 200_000_000_000_000 });
    const specs = fc.uniqueArray(fc.record({ id, $set, atMs }), { selector: ({ id }) => id, maxLength: 20 });
    const known = new Set<string>();
    const property = fc.asyncProperty(specs, async (specs) => {
      const unknown = specs.filter(({ id }) => !known.has(id));
      const works = await Promise.all(
        unknown.map(({ id, $set, atMs }) => owner.work({ ...set(id, $set), atMs })),
      );
      for (const { id } of unknown) known.add(id);
      await owner.save(...works);
      const asked = unknown.map(({ id }) => ({ teamId: TEAM, distinctId: asDistinctId(id) }));
      const found = new Map((await store.findByIds(asked)).map((one) => [one.distinctId, one.person]));
      t.equal(found.size, unknown.length);
      for (const { folded } of works) {
        const [[distinctId, uuid] = []] = folded.known.ids;
        const person = uuid && folded.known.persons.get(uuid);
        t.equal(canonical(distinctId && found.get(distinctId)), canonical(person));
      }
    });
    await fc.assert(property, { numRuns: 12 });
    const everything = await andSees();
    for (const { version, distinctId, person } of everything.mappings) {
      t.equal(version, 0);
      t.equal(person, personOf(distinctId));
    }
  });

  test('a work whose id leads elsewhere than believed is broken, and the others are written', async (t, owner, {
    andSees,
  }) => {
    await owner.write(set('known', { a: 1 }));
    const stale = [
      await owner.work(set('taken', { a: 'stale' })),
      await owner.work(identify('known', 'other'), set('known', { a: 'stale' })),
    ];
    await owner.write({ ...set('taken', { a: 1 }), personUuid: personOf('else') });
    await owner.write(set('other', { a: 1 }));
    const before = await andSees();
    const saved = await owner.save(...stale, await owner.work(set('new', { a: 1 })));
    t.same(
      saved.map(({ kind }) => kind),
      ['broken', 'broken', 'saved'],
    );
    const after = await andSees();
    t.same(propertiesOf(after), { ...propertiesOf(before), [personOf('new')]: { a: 1 } });
    t.same(idsOf(after), { ...idsOf(before), new: [personOf('new'), 0] });
  });

  test('where a version has moved, the work is folded again on the person as it is', async (t, owner, {
    andSees,
  }) => {
    await owner.write(set('ann', { a: 1, b: 1 }));
    const late = await owner.work(set('ann', { b: 2 }), set('ann', { c: 2 }));
    await owner.write(set('ann', { a: 3, b: 3 }));
    const [saved] = await owner.save(late);
    t.match(saved, { folded: { written: [{ version: 2, properties: { a: 3, b: 2, c: 2 } }] } });
    t.match(propertiesOf(await andSees()), { [personOf('ann')]: { a: 3, b: 2, c: 2 } });
  });

  test('a person that is there, although nobody was believed to be, is folded on', async (t, owner, {
    andSees,
  }) => {
    await owner.write({ ...set('first', { a: 1 }), personUuid: personOf('second') });
    await owner.write(set('second', { b: 2 }));
    const { persons, ...rest } = await andSees();
    t.match(persons, [{ uuid: personOf('second'), version: 1, properties: { a: 1, b: 2 } }]);
    t.equal(persons.length, 1);
    t.match(idsOf({ persons, ...rest }), { first: [personOf('second'), 1], second: [personOf('second'), 0] });
  });

  test('a person that did not change is not written, and nothing of an unchecked work is', async (t, owner, {
    andSees,
  }) => {
    await owner.write(set('ann', { a: 1 }));
    const before = await andSees();
    await owner.write(set('ann', { a: 1 }));
    const unchecked = await owner.work(set('ann', { a: 2 }), set('bob', { a: 2 }));
    const [saved] = await owner.save({ ...unchecked, checked: false });
    t.equal(saved?.kind, 'saved');
    t.same(await andSees(), before);
  });

  test('saves of one person at the same time lose nothing', async (t, owner, { andSees }) => {
    await owner.write(set('ann', {}));
    const keys = Array.from({ length: 10 }, (_, index) => `key${index}`);
    const works = await Promise.all(keys.map((key) => owner.work(set('ann', { [key]: 1 }))));
    const saved = await Promise.all(works.map((work) => owner.save(work)));
    t.ok(saved.flat().every(({ kind }) => kind === 'saved'));
    const after = await andSees();
    t.match(after.persons, [{ version: 10 }]);
    t.same(propertiesOf(after)[personOf('ann')], Object.fromEntries(keys.map((key) => [key, 1])));
  });

  test('saves of many persons in any order do not stop one another', async (t, owner, { andSees }) => {
    const ids = Array.from({ length: 40 }, (_, index) => `person ${index}`);
    await owner.save(...(await Promise.all(ids.map((id) => owner.work(set(id, {}))))));
    const savers = [1, 2, 3, 4, 5, 6];
    const saves = await Promise.all(
      savers.map((saver) =>
        Promise.all(shuffled(ids, saver).map((id) => owner.work(set(id, { [`by${saver}`]: 1 })))),
      ),
    );
    const saved = await Promise.all(saves.map((works) => owner.save(...works)));
    t.ok(saved.flat().every(({ kind }) => kind === 'saved'));
    const { persons } = await andSees();
    t.ok(persons.every(({ version }) => version === savers.length));
  });

  test('a work that stands on a person who is not there is broken', async (t, owner, { andSees }) => {
    const work = await owner.work(set('ann', {}));
    const [ghost] = work.folded.written;
    const persons = new Map(ghost && [[ghost.uuid, ghost]]);
    t.same(await owner.save({ ...work, believed: { ...work.believed, persons } }), [{ kind: 'broken' }]);
    t.same((await andSees()).persons, []);
  });

  test('a save that gives one id two persons is rejected as a whole', async (t, owner, { andSees }) => {
    const works = [
      await owner.work(set('ann', {})),
      await owner.work({ ...set('ann', {}), personUuid: personOf('bob') }),
    ];
    await t.rejects(owner.save(await owner.work(set('cat', {})), ...works));
    t.same((await andSees()).persons, []);
  });

  test('of two saves that make the person of one id at the same time, one is written', async (t, owner, {
    andSees,
  }) => {
    const works = await Promise.all(
      [1, 2, 3, 4].map((a) => owner.work(set('ann', { a }), set('ann', { b: a }))),
    );
    const results = await Promise.allSettled(works.map((work) => owner.save(work)));
    const isSaved = results.map((one) => one.status === 'fulfilled' && one.value[0]?.kind === 'saved');
    t.equal(isSaved.filter(Boolean).length, 1);
    const a = isSaved.indexOf(true) + 1;
    const after = await andSees();
    t.same(propertiesOf(after), { [personOf('ann')]: { a, b: a } });
    t.same(idsOf(after), { ann: [personOf('ann'), 0] });
  });

  test('what saves recorded of persons and groups is found as it is now', async (t, owner, {
    store,
    andSees,
  }) => {
    await owner.write(identify('ann', 'anon'));
    await owner.write(set('bob', { a: 1 }));
    await owner.write(groupIdentify('bob', groupOf(0, 'acme', { size: 1 })));
    await owner.write({ id: 'ann', name: '$merge_dangerously', properties: { alias: 'bob' } });
    const { persons, mappings, groups, merged } = await andSees();
    const recorded = await store.findRecorded(
      [personOf('ann'), personOf('bob'), personOf('nobody')],
      [groupOf(0, 'acme', {}), groupOf(1, 'acme', {})],
    );
    t.equal(persons.length, 1);
    t.same(
      recorded.persons.map(({ person }) => person),
      persons,
    );
    const ids = recorded.persons.flatMap(({ person, ids }) =>
      ids.map((id) => ({ teamId: TEAM, person: person.uuid, ...id })),
    );
    t.same(new Set(ids), new Set(mappings));
    t.equal(ids.length, 3);
    t.same(recorded.deleted, merged);
    t.equal(recorded.deleted.length, 1);
    t.same(recorded.groups, groups);
    t.same(await store.findRecorded([], []), { persons: [], deleted: [], groups: [] });
  });
}

/** What capture lets through. */
const fits = (id: string): boolean => id.length <= 400 && !id.includes('\0');

/** JSON text that does not hang on the order of keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
