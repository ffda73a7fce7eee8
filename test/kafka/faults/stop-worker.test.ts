import t from 'tap';
import { stopWorker } from '../../../load/kafka-faults/stop-worker.ts';
import { kafkaHosts } from '../../support/kafka.ts';

t.setTimeout(900_000);

t.test('SIGSTOP inside a save, SIGCONT after the session timeout: what comes late is fenced', async (t) => {
  const { facts, problems, folders } = await stopWorker({
    moments: ['inside a save'],
    // Other tests may have the machine as well.
    patience: 6,
    eventsPerSecond: 100,
    kafkaHosts: await kafkaHosts(),
    onProgress: (line) => t.comment(line),
  });
  t.comment(JSON.stringify(facts));
  t.same(problems, [], `npm run faults -- stop-worker ${folders.join(' ')}`);
});
