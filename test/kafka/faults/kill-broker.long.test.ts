import t from 'tap';
import { killBroker } from '../../../load/kafka-faults/kill-broker.ts';

t.setTimeout(900_000);

t.test('kill -9 to the broker, and a start: the door goes on, and nothing is lost', async (t) => {
  const { facts, problems, folders } = await killBroker({
    kills: 1,
    downSeconds: 8,
    onProgress: (line) => t.comment(line),
  });
  t.comment(JSON.stringify(facts));
  t.same(problems, [], `npm run faults -- kill-broker ${folders.join(' ')}`);
});
