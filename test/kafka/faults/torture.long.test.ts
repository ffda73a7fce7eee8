import { randomInt } from 'node:crypto';
import t from 'tap';
import { tortureKafka } from '../../../load/support/kafka-torture.ts';
import { kafkaHosts } from '../../support/kafka.ts';

t.setTimeout(900_000);

t.test(
  'workers die, freeze, join and leave, some at once: persons are as if each event came once, one after another',
  async (t) => {
    const seed = randomInt(2 ** 31);
    const { problems, folders, faults, meetings, acknowledged } = await tortureKafka({
      minutes: 1.5,
      workers: 3,
      eventsPerSecond: 80,
      seed,
      kafkaHosts: await kafkaHosts(),
      onProgress: (line) => t.comment(line),
    });
    const again = `again with: npm run torture -- --kafka --workers 3 --minutes 1.5 --rate 80 --seed ${seed}`;
    t.same(problems, [], `${again} ${folders.join(' ')}`);
    const hits = faults.reduce((sum, { hit }) => sum + hit, 0);
    t.ok(hits > 4, `${hits} faults hit`);
    t.ok(meetings['opposite merges'] > 10, `${meetings['opposite merges']} opposite merges at one instant`);
    t.ok(acknowledged > 1_000, `${acknowledged} events were answered 200`);
  },
);
