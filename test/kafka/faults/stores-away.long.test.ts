import t from 'tap';
import { clickHouseAway, killPostgres } from '../../../load/kafka-faults/stores-away.ts';
import { kafkaHosts } from '../../support/kafka.ts';

t.setTimeout(900_000);

t.test('kill -9 to Postgres, and a start: nothing is lost', async (t) => {
  const { facts, problems, folders } = await killPostgres({
    times: 2,
    downSeconds: 4,
    kafkaHosts: await kafkaHosts(),
    onProgress: (line) => t.comment(line),
  });
  t.comment(JSON.stringify(facts));
  t.same(problems, [], `npm run faults -- kill-postgres ${folders.join(' ')}`);
});

t.test('ClickHouse is away for a while: nothing is lost', async (t) => {
  const { facts, problems, folders } = await clickHouseAway({
    times: 1,
    downSeconds: 10,
    kafkaHosts: await kafkaHosts(),
    onProgress: (line) => t.comment(line),
  });
  t.comment(JSON.stringify(facts));
  t.same(problems, [], `npm run faults -- clickhouse-away ${folders.join(' ')}`);
});
