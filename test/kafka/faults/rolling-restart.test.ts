import t from 'tap';
import { rollingRestart } from '../../../load/kafka-faults/rolling-restart.ts';
import { kafkaHosts } from '../../support/kafka.ts';

t.setTimeout(900_000);

t.test('both workers restart one after the other: held events go on in time', async (t) => {
  const { facts, problems, folders } = await rollingRestart({
    rounds: 1,
    holdSeconds: 10,
    // Other tests may have the machine as well.
    patience: 6,
    eventsPerSecond: 100,
    kafkaHosts: await kafkaHosts(),
    onProgress: (line) => t.comment(line),
  });
  t.comment(JSON.stringify(facts));
  t.same(problems, [], `npm run faults -- rolling-restart ${folders.join(' ')}`);
});
