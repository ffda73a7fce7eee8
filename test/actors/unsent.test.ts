import t from 'tap';
import { Unsent } from '../../src/actors/unsent.ts';
import { systemClock } from '../../src/clock.ts';
import type { PersonUuid } from '../../src/event/ids.ts';
import type { FoldedRange } from '../../src/storage/person-store.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const PERSON = '00000000-0000-7000-8000-000000000000' as PersonUuid;
/** A save of one record. */
const save = (from: number, persons: number): FoldedRange => ({
  from,
  to: from,
  persons: Array.from({ length: persons }, () => PERSON),
  groups: [],
});

/** `fails`: of each time that is asked. */
function unsentOver(fails: readonly boolean[]) {
  const asked: number[][] = [];
  const sends: (() => void)[] = [];
  const unsent = new Unsent({
    clock: systemClock,
    logger: quietLogger,
    limits: { resendAtOnceMax: 10, recoverBackoffMinMs: 1, recoverBackoffMaxMs: 1 },
    resend: async (ranges, onSent) => {
      asked.push(ranges.map(({ from }) => from));
      if (fails[asked.length - 1]) throw new Error('no answer');
      sends.push(onSent);
    },
  });
  return { unsent, asked, sends };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 10));

t.test('a part is asked for once the one before it is durable, and nothing twice', async (t) => {
  const { unsent, asked, sends } = unsentOver([]);
  const saves = [save(0, 6), save(1, 6), save(2, 30), save(3, 1)];
  unsent.add(saves.slice(0, 3));
  await turn();
  t.same(asked, [[0, 1]]);
  unsent.add(saves);
  for (const left of [false, false, true]) {
    t.equal(unsent.isEmpty, false);
    sends.shift()?.();
    await turn();
    t.equal(unsent.isEmpty, left);
  }
  t.same(asked, [[0, 1], [2], [3]]);
  unsent.add(saves);
  t.ok(unsent.isEmpty, 'all of them are durable already');
});

t.test('it is asked until it is answered', async (t) => {
  const { unsent, asked, sends } = unsentOver([true, true, false]);
  unsent.add([save(0, 1)]);
  const drained = unsent.drained();
  while (sends.length === 0) await turn();
  t.equal(unsent.isIdle, false);
  sends.shift()?.();
  await drained;
  t.same(asked, [[0], [0], [0]]);
  t.ok(unsent.isEmpty);
  t.equal(unsent.stalled, undefined);
});

t.test('closed it is idle, and still says that it is not empty', async (t) => {
  const { unsent, asked } = unsentOver([true]);
  unsent.add([save(0, 1)]);
  while (unsent.stalled === undefined) await Promise.resolve();
  const drained = unsent.drained();
  unsent.close();
  await drained;
  await turn();
  t.equal(unsent.isEmpty, false, 'its progress is not saved');
  t.equal(asked.length, 1);
});
