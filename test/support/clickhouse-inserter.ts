/** A process of its own on a data folder: `insert` prints a line for each answered batch, `count` what is there. */

import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { ROW, utf8, uuidOf } from '../contract/clickhouse.ts';

const [mode, dir = ''] = process.argv.slice(2);
const clickhouse = await openClickHouse({ dir });
await migrateClickHouse(clickhouse, quietLogger);
if (mode === 'count') {
  console.log(await clickhouse.query('SELECT intDiv(uniqExact(uuid), 100) FROM events FORMAT TSV'));
  await clickhouse.close();
} else {
  for (let batch = 0; ; batch++) {
    const rows = Array.from({ length: 100 }, (_, n) => utf8({ ...ROW, uuid: uuidOf(batch * 100 + n) }));
    await clickhouse.insert('events', rows);
    console.log(batch);
  }
}
