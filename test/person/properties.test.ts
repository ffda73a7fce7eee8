import fc from 'fast-check';
import t from 'tap';
import { applyChanges, changesOf, propertyChanges, sameJson } from '../../src/person/properties.ts';

const key = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor');
const value = fc.oneof(fc.constantFrom(null, 0, 1, 'x'), fc.constant({ deep: [1] }));
const properties = fc.dictionary(key, value, { maxKeys: 4, noNullPrototype: true });

t.test('$set writes, $set_once writes where nothing is, $unset takes what was there before', async () => {
  fc.assert(
    fc.property(properties, properties, properties, fc.array<string>(key), (current, set, setOnce, unset) => {
      const after = applyChanges(current, changesOf(current, { set, setOnce, unset }));
      const keys = new Set([current, set, setOnce].flatMap((object) => Object.keys(object)));
      for (const name of keys) {
        const before = Object.hasOwn(current, name) ? (current[name] ?? null) : null;
        let expected = before;
        if (before === null && Object.hasOwn(setOnce, name)) expected = setOnce[name] ?? null;
        if (Object.hasOwn(set, name)) expected = set[name] ?? null;
        if (Object.hasOwn(current, name) && unset.includes(name)) expected = null;
        const actual = Object.hasOwn(after, name) ? (after[name] ?? null) : null;
        if (!sameJson(actual, expected)) return false;
      }
      return (
        Object.keys(after).every((name) => keys.has(name)) &&
        Object.getPrototypeOf(after) === Object.prototype
      );
    }),
  );
});

t.test('what the person has already is no change, in whatever order its members stand', async () => {
  fc.assert(
    fc.property(properties, (current) => {
      const turned = Object.fromEntries(Object.entries(structuredClone(current)).reverse());
      return changesOf(current, { set: turned, setOnce: turned, unset: [] }).size === 0;
    }),
  );
});

t.test('changes that are not objects, and names that are not strings, are ignored', async (t) => {
  t.same(propertyChanges({ $set: [1], $set_once: 'x', $unset: ['a', 1, null] }), {
    set: {},
    setOnce: {},
    unset: ['a'],
  });
  t.same(propertyChanges({ $unset: { a: 1, b: null } }).unset, ['a', 'b']);
});
