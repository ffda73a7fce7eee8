import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';

void t.test('a server that does not answer does not hold up a stop', async (t) => {
  const server = createServer();
  const isAsked = new Promise<void>((resolve) => server.once('request', () => resolve()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clickhouse = await openClickHouse({ url, user: 'default', password: '', database: 'default' });
  const query = clickhouse.query('SELECT 1');
  await isAsked;

  const startedAt = performance.now();
  await clickhouse.close();
  t.ok(performance.now() - startedAt < LIMITS.process.stopTimeoutMs);
  server.closeAllConnections();
  await t.rejects(query);
});
