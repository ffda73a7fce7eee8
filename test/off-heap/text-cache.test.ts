import fc from 'fast-check';
import t from 'tap';
import { blockCostBytes, hashOf, TextCache } from '../../src/off-heap/text-cache.ts';

/** What the cache has to do, in the plainest way: the keys are in the order of their ages. */
class Model {
  evicted = 0;
  readonly #texts = new Map<string, string>();
  readonly #blocksMax: number;
  readonly #blockBytes: number;
  readonly #entriesMax: number;

  constructor(blocksMax: number, blockBytes: number, entriesMax: number) {
    this.#blocksMax = blocksMax;
    this.#blockBytes = blockBytes;
    this.#entriesMax = entriesMax;
  }

  get entries(): ReadonlyMap<string, string> {
    return this.#texts;
  }

  get(key: string): string | undefined {
    const text = this.#texts.get(key);
    if (text === undefined) return undefined;
    this.#texts.delete(key);
    this.#texts.set(key, text);
    return text;
  }

  take(key: string): string | undefined {
    const text = this.#texts.get(key);
    this.#texts.delete(key);
    return text;
  }

  set(key: string, text: string): void {
    this.#texts.delete(key);
    const needed = this.#blocks(key, text);
    if (needed > this.#blocksMax) return;
    const used = () => [...this.#texts].reduce((sum, entry) => sum + this.#blocks(...entry), 0);
    for (const oldest of this.#texts.keys()) {
      if (used() + needed <= this.#blocksMax && this.#texts.size < this.#entriesMax) break;
      this.#texts.delete(oldest);
      this.evicted += 1;
    }
    this.#texts.set(key, text);
  }

  #blocks(key: string, text: string): number {
    return Math.max(1, Math.ceil(Buffer.byteLength(key + text) / this.#blockBytes));
  }
}

const keys = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'c', 'd'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
);
const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.integer({ min: 0, max: 6_000 }).map((length) => 'ü'.repeat(length)),
);
const steps = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key: keys, text: texts }),
  fc.record({ kind: fc.constantFrom('get', 'peek', 'take', 'delete'), key: keys, text: fc.constant('') }),
);

t.test('it keeps what fits, and what was used last', async (t) => {
  let evictions = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1, 5, 40, 10_000),
      fc.constantFrom(16, 80, 256),
      fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
      fc.array(steps, { minLength: 20, maxLength: 60, size: 'max' }),
      (blocksMax, blockBytes, entriesMax, sequence) => {
        const bytesMax = blocksMax * blockCostBytes(blockBytes);
        const cache = new TextCache({ bytesMax, blockBytes, entriesMax });
        const model = new Model(blocksMax, blockBytes, entriesMax);
        const matches = () =>
          cache.size === model.entries.size &&
          [...model.entries].every(([key, text]) => cache.has(key) && cache.peek(key) === text);
        const isAsModel = sequence.every(({ kind, key, text }) => {
          switch (kind) {
            case 'set':
              cache.set(key, text);
              model.set(key, text);
              return matches();
            case 'get':
              return cache.get(key) === model.get(key) && matches();
            case 'peek':
              return cache.peek(key) === model.entries.get(key) && matches();
            case 'take':
              return cache.take(key) === model.take(key) && matches();
            default:
              cache.delete(key);
              model.take(key);
              return matches();
          }
        });
        evictions += model.evicted;
        return isAsModel;
      },
    ),
    { numRuns: 1_000 },
  );
  t.ok(evictions > 1_000, `${evictions} of them made room`);
});

t.test('a hundred thousand are found again, each', async (t) => {
  const cache = new TextCache({ bytesMax: 64 * 1024 * 1024, blockBytes: 80 });
  const count = 100_000;
  for (let index = 0; index < count; index++) cache.set(`key-${index}`, `text of ${index}`);
  t.equal(cache.size, count);
  let found = 0;
  for (let index = 0; index < count; index++)
    if (cache.get(`key-${index}`) === `text of ${index}`) found += 1;
  t.equal(found, count);
});

t.test('keys with like hashes push each other out, and make nothing slow', async (t) => {
  const lists = 64;
  const alike = (key: string) => hashOf(Buffer.from(key), Buffer.byteLength(key)) % lists === 0;
  const chosen = Array.from({ length: 50 * lists }, (_, index) => `key-${index}`).filter(alike);
  const cache = new TextCache({ bytesMax: 2 * lists * blockCostBytes(80), blockBytes: 80 });
  for (const key of chosen) cache.set(key, 'text');
  t.same(
    chosen.filter((key) => cache.has(key)),
    chosen.slice(-16),
    `16 of ${chosen.length}`,
  );
  t.equal(cache.size, 16);
});

t.test('half a character has no UTF-8: nothing is kept, and nothing is taken for it', async (t) => {
  const cache = new TextCache({ bytesMax: 1024 * 1024, blockBytes: 80 });
  cache.set('\ufffd', 'of the replacement character');
  cache.set('whole', 'text');
  cache.set('whole', 'half \ud83d');
  cache.set('\ud83d', 'text');
  t.equal(cache.get('whole'), undefined);
  t.equal(cache.get('\ud83d'), undefined);
  t.equal(cache.size, 1);
});
