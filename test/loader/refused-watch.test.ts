import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { LIMITS } from '../../src/limits.ts';
import { watchRefusedRows } from '../../src/loader/refused-watch.ts';
import { heardLogger, quietLogger } from '../../tools/suite-logs.ts';
import { until } from '../support/event-log.ts';

void t.test('a ClickHouse that never answers does not hold up a stop', async (t) => {
  const signals: (AbortSignal | undefined)[] = [];
  const watch = watchRefusedRows({
    clickhouse: {
      query: (_sql, signal) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    },
    clock: systemClock,
    logger: quietLogger,
    onRowsRefused: () => Promise.resolve(),
  });
  const startedAt = performance.now();
  await watch.close();
  t.ok(performance.now() - startedAt < LIMITS.process.stopTimeoutMs);
  t.equal(signals.length, 1);
  t.equal(signals[0]?.aborted, true, 'nobody waits for the answer any more');
});

void t.test('the trouble of ClickHouse is told without the rows that it quotes', async (t) => {
  const fault = `Cannot parse input: expected '{' before: 'ann of Bonn': (at row 1)`;
  const told: unknown[] = [];
  const watch = watchRefusedRows({
    clickhouse: {
      query: async (sql) =>
        sql.includes('kafka_consumers') ? `${JSON.stringify({ text: `events: ${fault}` })}\n` : '',
    },
    clock: systemClock,
    logger: heardLogger({ warn: (fields) => void told.push(fields) }),
    onRowsRefused: () => Promise.resolve(),
  });
  await until(() => told.length > 0);
  await watch.close();
  const trouble = 'events: Cannot parse input: expected …: (at row 1)';
  t.same(told, [{ trouble }]);
  t.same(watch.ready(), { ok: false, detail: trouble });
});

void t.test('a query that ends when it is cancelled is no trouble', async (t) => {
  const warnings: string[] = [];
  const watch = watchRefusedRows({
    clickhouse: {
      query: (_sql, signal) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(new Error('cancelled')));
        }),
    },
    clock: systemClock,
    logger: heardLogger({ warn: (_, text) => void warnings.push(text) }),
    onRowsRefused: () => Promise.resolve(),
  });
  await watch.close();
  t.same(warnings, []);
  t.same(watch.ready(), { ok: true });
});
