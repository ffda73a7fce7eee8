import { randomInt } from 'node:crypto';
import t from 'tap';
import { killAndCount } from '../../load/kill.ts';

t.setTimeout(900_000);

t.test('after kill -9 in mid-load, ten times, nothing that was answered 200 is lost', async (t) => {
  const seed = randomInt(2 ** 31);
  const { kills, problems, acknowledged, books } = await killAndCount({
    kills: 10,
    secondsBetween: 2,
    eventsPerSecond: 1_000,
    seed,
    onProgress: (line) => t.comment(line),
  });
  t.same(problems, [], `again with: node --import tsx load/kill.ts --seed ${seed}`);
  t.equal(kills.length, 10);
  t.ok(acknowledged > 1_000, `${acknowledged} events were answered 200`);
  t.ok(books.rows >= acknowledged, `${books.rows} are rows`);
});
