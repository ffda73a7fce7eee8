/** A member of the group `shared`, to be killed: hosts, prefix. Says `assigned N`, `revoked N`, `read N OFFSET`. */
import { systemClock } from '../../src/clock.ts';
import { Metrics } from '../../src/metrics.ts';
import { openKafkaLog } from '../../src/storage/kafka/log.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { plainConnection } from '../../tools/kafka/connection.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const [hosts = '', prefix = ''] = process.argv.slice(2);
const log = await openKafkaLog({
  connection: plainConnection(hosts),
  prefix,
  partitions: 4,
  clock: systemClock,
  logger: quietLogger,
  metrics: new Metrics(),
});
const say = (line: string) => process.stdout.write(`${line}\n`);
await log.subscribe({
  group: 'shared',
  topics: [INGESTION_TOPIC],
  recordsMax: 100,
  async onAssign({ partition }) {
    say(`assigned ${partition}`);
    return 'committed';
  },
  onRevoke: ({ partition }) => say(`revoked ${partition}`),
  onRecords: ({ partition }, records) => say(`read ${partition} ${records.at(-1)?.offset}`),
  onError: (error) => say(`error ${error.message}`),
});
