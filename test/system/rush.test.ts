import t from 'tap';
import { GROWTH_MIB_MAX, ROWS_MS_MAX, rush } from '../../load/rush.ts';

t.setTimeout(600_000);

t.test(
  '24,000 events of 3,000 persons from 8 clients at once are rows in time, with the memory of a tenth',
  async (t) => {
    const result = await rush({
      events: 24_000,
      persons: 3_000,
      clients: 8,
      batch: 20,
      onProgress: (line) => t.comment(line),
    });
    t.same(result.problems, [], 'each is there once, with its one person, and the books say so');
    t.match(result.books, { acknowledged: 24_000, rows: 24_000, waiting: 0, in_flight: 0, imbalance: 0 });
    t.ok(result.rowsMs <= ROWS_MS_MAX, `${result.rowsMs} ms until all were rows`);
    const { memoryAfterTenth, memoryAtEnd } = result;
    t.comment(JSON.stringify({ memoryAfterTenth, memoryAtEnd }));
    t.ok(
      memoryAtEnd.rss - memoryAfterTenth.rss <= GROWTH_MIB_MAX,
      `${memoryAfterTenth.rss} MiB, then ${memoryAtEnd.rss}`,
    );
  },
);

t.test('events that come one by one are rows as well', async (t) => {
  const result = await rush({
    events: 1_000,
    persons: 200,
    clients: 8,
    batch: 1,
    onProgress: (line) => t.comment(line),
  });
  t.same(result.problems, []);
});
