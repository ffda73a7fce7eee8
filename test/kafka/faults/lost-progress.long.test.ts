import t from 'tap';
import { lostProgress } from '../../../load/kafka-faults/lost-progress.ts';
import { kafkaHosts } from '../../support/kafka.ts';

t.setTimeout(900_000);

t.test('saved progress is damaged, retention passes it, the topic is another one', async (t) => {
  const { facts, problems, folders } = await lostProgress({
    kafkaHosts: await kafkaHosts(),
    onProgress: (line) => t.comment(line),
  });
  t.comment(JSON.stringify(facts));
  t.same(problems, [], `npm run faults -- lost-progress ${folders.join(' ')}`);
});
