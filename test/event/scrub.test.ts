import fc from 'fast-check';
import t from 'tap';
import type { Json, JsonObject } from '../../src/event/json.ts';
import { boundsFault, mayNeedScrub, scrub, scrubText, truncateChars } from '../../src/event/scrub.ts';

/** Text with what must go: NUL, either half of a pair, whole pairs. */
const hostile = fc
  .array(fc.constantFrom('a', '\0', '\ud83d', '\ude00', '\ud83d\ude00', '__proto__', 'é'), { maxLength: 6 })
  .map((parts) => parts.join(''));

const document = fc.letrec<{ value: Json; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.integer(),
    fc.constant(null),
    hostile,
    fc.array(tie('value')),
    tie('object'),
  ),
  // As JSON.parse makes it: `__proto__` is a key like any other.
  object: fc
    .array(fc.tuple(hostile, tie('value')), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries)),
})).object;

const isStorable = (text: string) => !/[\0\p{Surrogate}]/u.test(text);

function strings(value: Json): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]: [string, Json]) => [key, ...strings(member)]);
}

t.test(
  'after scrubbing every key and string can be stored, and scrubbing again changes nothing',
  async () => {
    fc.assert(
      fc.property(document, (value) => {
        const scrubbed = scrub(value);
        return strings(scrubbed).every(isStorable) && scrub(scrubbed) === scrubbed;
      }),
    );
  },
);

t.test('what can be stored is given back as it is, the same object', async () => {
  fc.assert(
    fc.property(document, (value) => (strings(value).every(isStorable) ? scrub(value) === value : true)),
  );
});

t.test('a JSON text that is not suspected needs no scrubbing', async () => {
  fc.assert(
    fc.property(document, (value) => mayNeedScrub(JSON.stringify(value)) || strings(value).every(isStorable)),
  );
});

t.test('each bad unit becomes U+FFFD and pairs stay', async (t) => {
  t.equal(scrubText('a\0b\ud83dc\ude00\ud83d\ude00'), 'a\ufffdb\ufffdc\ufffd\u{1f600}');
});

t.test('a key __proto__ stays a key and changes no prototype', async (t) => {
  const scrubbed = scrub(JSON.parse('{"__proto__": {"admin": "\\u0000"}, "a": 1}'));
  t.same(JSON.stringify(scrubbed), '{"__proto__":{"admin":"\ufffd"},"a":1}');
  t.equal(Object.getPrototypeOf(scrubbed), Object.prototype);
  t.equal(scrubbed['admin'], undefined);
});

const nested = (depth: number): Json => JSON.parse(`${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`);

t.test('nesting is allowed up to the bound, and no depth is too much to be refused', async (t) => {
  const bounds = { depthMax: 100, keysMax: 1_000_000 };
  t.equal(boundsFault(nested(100), bounds), undefined);
  t.equal(boundsFault(nested(101), bounds), 'too_deep');
  t.equal(boundsFault(nested(50_000), bounds), 'too_deep');
});

t.test('keys and elements are counted together, wherever they are', async (t) => {
  const bounds = { depthMax: 10, keysMax: 6 };
  t.equal(boundsFault({ a: [1, 2, 3], b: { c: 1 } }, bounds), undefined);
  t.equal(boundsFault({ a: [1, 2, 3], b: { c: 1, d: 1 } }, bounds), 'too_many_keys');
});

t.test('text is cut by characters, and no pair is torn', async (t) => {
  t.equal(truncateChars('abc', 3), 'abc');
  t.equal(truncateChars('\u{1f600}'.repeat(300), 200), '\u{1f600}'.repeat(200));
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, charsMax) => {
      const cut = truncateChars(text, charsMax);
      return text.startsWith(cut) && Array.from(cut).length === Math.min(charsMax, Array.from(text).length);
    }),
  );
});
