import fc from 'fast-check';
import t from 'tap';
import { type Batch, type Finish, Outbox } from '../../src/actors/outbox.ts';
import { ROW } from '../../src/event/outcome.ts';
import { type AppendRecord, LogUnavailableError } from '../../src/storage/event-log.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const LIMITS = { appendRecordsMax: 4, batchesMax: 2, bulkMax: 8, bulkPartMax: 3 };
const BACKOFF = { backoffMinMs: 0, backoffMaxMs: 0 };

const message = (key: string): AppendRecord => ({
  topic: 'clickhouse_events_json',
  key,
  value: '',
  headers: {},
  timestamp: 0,
});

/** `rows` and `moved`: how many messages. Its records with row are finished as 0, those with a merge as 1. */
function batchOf(number: number, rows: number, moved: number): Batch {
  const named = (name: string, count: number) =>
    Array.from({ length: count }, (_, index) => message(`${name} ${index} of ${number}`));
  const finish = (offset: number): Finish => ({ partition: number, offset, fate: ROW });
  return {
    messages: named('row', rows),
    finishes: [finish(0)],
    bulk: moved > 0 ? { messages: named('id', moved), count: moved, finishes: [finish(1)] } : undefined,
  };
}

/** What happens, in its order: messages that are durable, and records that are finished. `fails`: of each append. */
function outboxOver(fails: readonly boolean[]) {
  const events: string[] = [];
  const appends: (readonly string[])[] = [];
  const outbox = new Outbox({
    ...LIMITS,
    ...BACKOFF,
    clock: { now: () => 0, monotonic: () => 0, after: (_delayMs, run) => later(run) },
    logger: quietLogger,
    log: {
      append: async (records) => {
        const keys = records.map(({ key }) => key ?? '');
        appends.push(keys);
        if (fails[appends.length - 1]) throw new LogUnavailableError('no answer');
        events.push(...keys);
        return [];
      },
    },
    onSent: (finishes) => {
      for (const { partition, offset } of finishes)
        events.push(`${offset === 0 ? 'rows' : 'merges'} of ${partition}`);
    },
  });
  return { outbox, events, appends };
}

function later(run: () => void) {
  const timer = setImmediate(run);
  return () => clearImmediate(timer);
}

t.test('moved ids go along in parts, and later rows go before the rest of them', async (t) => {
  const { outbox, appends } = outboxOver([]);
  outbox.push(batchOf(0, 1, 7));
  outbox.push(batchOf(1, 1, 1));
  await outbox.drained();
  t.same(appends, [
    ['row 0 of 0', 'id 0 of 0', 'id 1 of 0', 'id 2 of 0'],
    ['row 0 of 1', 'id 3 of 0', 'id 4 of 0', 'id 5 of 0'],
    ['id 6 of 0', 'id 0 of 1'],
  ]);
});

t.test('a record is finished once all that it left is durable, whatever fails meanwhile', async () => {
  const sizes = fc.record({ rows: fc.nat(9), moved: fc.nat(9) });
  await fc.assert(
    fc.asyncProperty(fc.array(sizes, { maxLength: 8 }), fc.array(fc.boolean()), async (batches, fails) => {
      const { outbox, events } = outboxOver(fails);
      for (const [number, { rows, moved }] of batches.entries()) {
        await new Promise<void>((proceed) => outbox.whenRoom(proceed));
        outbox.push(batchOf(number, rows, moved), () => events.push(`ends of ${number}`));
      }
      await outbox.drained();
      for (const [number, { rows, moved }] of batches.entries()) {
        const end = (name: string) => events.indexOf(`${name} of ${number}`);
        const isBefore = (name: string, count: number, at: number) =>
          count === 0 || (end(`${name} ${count - 1}`) >= 0 && end(`${name} ${count - 1}`) < at);
        if (!isBefore('row', rows, end('rows'))) return false;
        if (moved > 0 && !(isBefore('id', moved, end('merges')) && end('rows') < end('merges'))) return false;
        if (end('ends') !== end(moved > 0 ? 'merges' : 'rows') + 1) return false;
      }
      const ids = events.filter((event) => event.startsWith('id'));
      const inOrder = batches.flatMap(({ moved }, number) =>
        Array.from({ length: moved }, (_, index) => `id ${index} of ${number}`),
      );
      return ids.join() === inOrder.join() && events.length === new Set(events).size;
    }),
  );
});

t.test('there is no room while too many moved ids wait', async (t) => {
  const { outbox, appends } = outboxOver([]);
  outbox.push(batchOf(0, 1, LIMITS.bulkMax + 1));
  t.ok(outbox.isFull);
  const sent = await new Promise<number>((resolve) => outbox.whenRoom(() => resolve(appends.length)));
  t.equal(sent, 1, 'a part has gone, and there are fewer now');
});

t.test('closed at any moment it ends, and finishes nothing more', async (t) => {
  for (let ticks = 0; ticks < 40; ticks++) {
    const { outbox, events } = outboxOver([]);
    for (const number of [0, 1]) outbox.push(batchOf(number, 5, 5), () => events.push(`ends of ${number}`));
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    outbox.close();
    const finished = events.filter((event) => event.includes('s of')).join();
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(events.filter((event) => event.includes('s of')).join(), finished);
  }
});
