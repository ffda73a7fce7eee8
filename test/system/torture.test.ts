import { randomInt } from 'node:crypto';
import t from 'tap';
import { torture } from '../../load/torture.ts';

t.setTimeout(900_000);

t.test(
  'kill -9 in every gap at least once: nothing is lost, and persons are as if each event came once',
  async (t) => {
    const seed = randomInt(2 ** 31);
    const { problems, folders, kills, acknowledged } = await torture({
      minutes: 2.5,
      each: 1,
      isOverEarly: true,
      eventsPerSecond: 300,
      seed,
      onProgress: (line) => t.comment(line),
    });
    const again = `again with: npm run torture -- --minutes 2.5 --seed ${seed}`;
    t.same(problems, [], `${again} ${folders.join(' ')}`);
    t.ok(kills.length > 1, `${kills.length} kills`);
    t.ok(acknowledged > 100, `${acknowledged} events were answered 200`);
  },
);
