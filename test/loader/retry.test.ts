import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { Retry, StoppedError } from '../../src/loader/retry.ts';
import { hasEnded } from '../../src/storage/clickhouse/refusals.ts';
import { ClickHouseEndedError } from '../../src/storage/clickhouse-port.ts';

t.test('a ClickHouse that has ended needs a restart, one that is away does not', async (t) => {
  for (const [error, needsRestart] of [
    [new Error('connection refused'), undefined],
    [new ClickHouseEndedError('it has ended'), 'insert: it has ended'],
  ] as const) {
    const retry = new Retry(systemClock, () => setImmediate(() => retry.stop()));
    await t.rejects(
      retry.untilDone('insert', () => Promise.reject(error)),
      StoppedError,
    );
    t.equal(retry.trouble, `insert: ${error.message}`);
    t.equal(retry.needsRestart, needsRestart);
  }
});

t.test('the words of chdb after a fatal signal are known', async (t) => {
  t.ok(hasEnded(new Error('The server is shutting down due to a fatal error. ')));
  t.notOk(hasEnded(new Error('Cannot reserve 1.00 MiB, not enough space. ')));
});
