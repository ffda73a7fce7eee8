import fc from 'fast-check';
import t from 'tap';
import { Ledger } from '../../src/actors/ledger.ts';
import { ROW } from '../../src/event/outcome.ts';
import { inRanges, toRanges } from '../../src/storage/offset-ranges.ts';

const EMPTY = { firstOffset: 10, readPosition: 10, unfinished: [], fates: {} };

t.test('the books of a partition balance at every moment, and after any number of restarts', async () => {
  const step = fc.oneof(fc.constant('take'), fc.constant('restart'), fc.nat());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let ledger = new Ledger(EMPTY);
      let next = 10;
      const open = new Set<number>();
      for (const one of steps) {
        if (one === 'restart') {
          ledger = new Ledger(ledger.snapshot());
          // What is read again is taken again only if it had no fate.
          for (let offset = 10; offset < next; offset++) {
            if (ledger.take(offset, 1) !== open.has(offset)) return false;
          }
        } else if (one === 'take') {
          ledger.take(next, 1);
          open.add(next++);
        } else {
          const offset = [...open][one % Math.max(open.size, 1)];
          if (offset === undefined) continue;
          ledger.finish(offset, one % 2 ? ROW : { kind: 'drop', reason: 'duplicate' });
          open.delete(offset);
        }
        const { readPosition, firstOffset, fates, inFlight, unfinished } = ledger.snapshot();
        const settled = Object.values(fates).reduce((sum, count) => sum + count, 0);
        if (readPosition - firstOffset !== settled + inFlight) return false;
        if (ledger.lowEnd !== Math.min(next, ...open)) return false;
        if (![...open].every((offset) => inRanges(unfinished, offset))) return false;
        if (ledger.bytes !== open.size) return false;
      }
      return true;
    }),
  );
});

t.test('an offset has one fate', async (t) => {
  const ledger = new Ledger(EMPTY);
  ledger.take(10, 1);
  ledger.finish(10, ROW);
  t.throws(() => ledger.finish(10, ROW), { name: 'InvariantError' });
});

t.test('ranges hold exactly the offsets that they were made of', async () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(60)), (offsets) => {
      const rising = offsets.toSorted((a, b) => a - b);
      const ranges = toRanges(rising);
      return Array.from(
        { length: 62 },
        (_, offset) => inRanges(ranges, offset) === rising.includes(offset),
      ).every(Boolean);
    }),
  );
});

t.test(
  'records that leave the log before they are read again, or at all, are lost and counted, once',
  async (t) => {
    const ledger = new Ledger({
      ...EMPTY,
      readPosition: 16,
      unfinished: [{ from: 12, to: 14 }],
      fates: { row: 3 },
    });
    ledger.expect(12);
    t.ok(ledger.take(12, 1));
    t.ok(ledger.take(20, 1), 'the log goes on here');
    const { fates, inFlight, readPosition, firstOffset } = ledger.snapshot();
    t.same([fates, inFlight], [{ row: 3, 'dead_letter:lost_by_retention': 2 + 4 }, 2]);
    t.equal(readPosition - firstOffset, 3 + 6 + inFlight);
    t.equal(ledger.lost, 6);
  },
);
