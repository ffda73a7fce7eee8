import t from 'tap';
import { killWorker } from '../../../load/kafka-faults/kill-worker.ts';
import { kafkaHosts } from '../../support/kafka.ts';

t.setTimeout(900_000);

t.test('kill -9 to one of two workers: the other goes on in time, and nothing is lost', async (t) => {
  const { facts, problems, folders } = await killWorker({
    kills: 2,
    // Other tests may have the machine as well.
    patience: 6,
    eventsPerSecond: 100,
    kafkaHosts: await kafkaHosts(),
    onProgress: (line) => t.comment(line),
  });
  t.comment(JSON.stringify(facts));
  t.same(problems, [], `npm run faults -- kill-worker ${folders.join(' ')}`);
});
