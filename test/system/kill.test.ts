import { randomInt } from 'node:crypto';
import t from 'tap';
import { killAndCount } from '../../load/kill.ts';

t.setTimeout(900_000);

t.test('after kill -9 in mid-load, three times, nothing that was answered 200 is lost', async (t) => {
  const seed = randomInt(2 ** 31);
  const { kills, problems, acknowledged, books } = await killAndCount({
    kills: 3,
    secondsBetween: 1,
    eventsPerSecond: 800,
    seed,
    onProgress: (line) => t.comment(line),
  });
  t.same(
    problems,
    [],
    `again with: node --import tsx load/kill.ts --kills 3 --seconds-between 1 --rate 800 --seed ${seed}`,
  );
  t.equal(kills.length, 3);
  t.ok(acknowledged > 100, `${acknowledged} events were answered 200`);
  t.ok(books.rows >= acknowledged, `${books.rows} are rows`);
});
