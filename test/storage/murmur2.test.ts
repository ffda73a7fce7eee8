import t from 'tap';
import { murmur2, partitionOf } from '../../src/storage/murmur2.ts';

t.test("murmur2 gives the values of the Kafka Java client's own test", async (t) => {
  const known: Record<string, number> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  };
  for (const [text, hash] of Object.entries(known)) t.equal(murmur2(Buffer.from(text)), hash, text);
});

t.test('a view into a larger buffer hashes as its own bytes', async (t) => {
  t.equal(murmur2(Buffer.from('xxabcxx').subarray(2, 5)), 479470107);
});

t.test('a key goes to the hash without its sign, modulo the partitions', async (t) => {
  t.equal(partitionOf('abc', 8), 479470107 % 8);
  t.equal(partitionOf('21', 8), (-973932308 & 0x7fffffff) % 8);
  t.equal(partitionOf('', 1), 0);
  t.equal(partitionOf('schön 🎉', 1_000_003), (murmur2(Buffer.from('schön 🎉')) & 0x7fffffff) % 1_000_003);
});
