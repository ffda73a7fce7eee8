import fc from 'fast-check';
import t from 'tap';
import { insertAround } from '../../src/loader/bisect.ts';
import { RowRefusedError } from '../../src/storage/clickhouse-port.ts';

t.test('the good rows go in once and in order, the bad ones are named, in few statements', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 200 }), async (areBad) => {
      const rows = areBad.map((isBad, index) => ({ isBad, index }));
      const inserted: unknown[] = [];
      let statements = 0;
      const refused = await insertAround(rows, async (some) => {
        statements++;
        if (some.some(({ isBad }) => isBad)) throw new RowRefusedError('bad');
        inserted.push(...some);
      });
      t.same(
        inserted,
        rows.filter(({ isBad }) => !isBad),
      );
      t.same(
        refused.map(({ row }) => row),
        rows.filter(({ isBad }) => isBad),
      );
      t.ok(statements <= 1 + refused.length * 2 * Math.ceil(Math.log2(rows.length + 1)));
    }),
  );
});

t.test('another error ends it', async (t) => {
  const away = new Error('away');
  await t.rejects(
    insertAround([1, 2], () => Promise.reject(away)),
    away,
  );
});
