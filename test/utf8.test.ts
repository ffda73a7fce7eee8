/** What is written into reused space is what a buffer of its own would be. */
import fc from 'fast-check';
import t from 'tap';
import { utf8After } from '../src/utf8.ts';

/** UTF-16 as JavaScript lets it be. */
const text = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 1_100 })
  .map((units) => String.fromCharCode(...units));

t.test(
  'a text of any length, lone surrogates included, has the bytes that a buffer of its own has',
  async () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), fc.array(text, { minLength: 1 }), (prefix, texts) => {
        const bytesOf = utf8After(prefix);
        for (const text of texts) {
          const alone = Buffer.concat([prefix, Buffer.from(text)]);
          if (!bytesOf(text).equals(alone)) throw new Error(`not those of ${JSON.stringify(text)}`);
        }
      }),
    );
    t.same(utf8After()('é'.repeat(512)), Buffer.from('é'.repeat(512)), 'of the longest that the space takes');
    t.same(utf8After()('€'.repeat(513)), Buffer.from('€'.repeat(513)), 'of the first that it does not');
  },
);
