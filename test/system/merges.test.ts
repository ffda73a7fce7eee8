import { randomInt } from 'node:crypto';
import t from 'tap';
import { merges, ROWS_MS_MAX } from '../../load/merges.ts';

t.setTimeout(600_000);

t.test(
  '3,000 events of people who log in, merge and are held lead to the right person, all of them',
  async (t) => {
    const seed = randomInt(2 ** 31);
    const { rowsMs, released, problems, ...result } = await merges({
      events: 3_000,
      persons: 375,
      clients: 8,
      batch: 20,
      seed,
      onProgress: (line) => t.comment(line),
    });
    t.same(
      problems,
      [],
      `again with: node --import tsx load/merges.ts --events 3000 --persons 375 --seed ${seed}`,
    );
    t.match(result.books, {
      acknowledged: 3_000,
      rows: 3_000,
      waiting: 0,
      held: 0,
      in_flight: 0,
      imbalance: 0,
    });
    t.ok(rowsMs <= ROWS_MS_MAX, `${rowsMs} ms until all were rows`);
    const { persons, merges: merged, rowsOverridden } = result;
    t.comment(JSON.stringify({ persons, merged, rowsOverridden, released }));
    t.ok(merged > 0 && rowsOverridden > 0, 'persons were merged after they had rows');
    t.ok(released.person > 0 && released.time > 0, 'events were held, and released by both');
  },
);
