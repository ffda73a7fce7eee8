import t from 'tap';
import { systemClock } from '../src/clock.ts';
import { recordDoorCounts } from '../src/door-counts.ts';
import { LIMITS } from '../src/limits.ts';
import type { DoorCount } from '../src/storage/postgres/books.ts';
import { heardLogger } from '../tools/suite-logs.ts';

const counts = () => ({ refused: { too_large: 2 }, dead_lettered: {}, discarded: {} });
const COUNTED = [{ kind: 'refused', reason: 'too_large', count: 2 }];

function start(record: (added: readonly DoorCount[]) => Promise<void>) {
  const lost: unknown[] = [];
  const recorder = recordDoorCounts({
    counts,
    record,
    clock: systemClock,
    logger: heardLogger({ error: (fields) => void lost.push(fields) }),
  });
  return { recorder, lost };
}

void t.test('a stop writes what has been counted', async (t) => {
  const written: DoorCount[] = [];
  const { recorder, lost } = start(async (added) => void written.push(...added));
  await recorder.close();
  t.same(written, COUNTED);
  t.same(lost, []);
});

void t.test('a Postgres that never answers does not hold up a stop: what is lost is logged', async (t) => {
  const { recorder, lost } = start(() => new Promise(() => {}));
  const startedAt = performance.now();
  await recorder.close();
  t.ok(performance.now() - startedAt < LIMITS.process.stopTimeoutMs);
  t.same(lost, [{ lost: COUNTED }]);
});
