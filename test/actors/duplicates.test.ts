import t from 'tap';
import { Duplicates } from '../../src/actors/duplicates.ts';
import type { PipelineEvent } from '../../src/event/event.ts';
import { asDistinctId, asEventUuid, asTeamId } from '../../src/event/ids.ts';

const MINUTE_MS = 60_000;

const event = (changes: Partial<PipelineEvent> = {}): PipelineEvent => ({
  uuid: asEventUuid('22222222-2222-7222-8222-222222222222'),
  teamId: asTeamId(1),
  distinctId: asDistinctId('ann'),
  name: 'event',
  properties: {},
  timestampMs: 0,
  capturedAtMs: 0,
  historicalMigration: false,
  warnings: [],
  ...changes,
});

t.test(
  'an event that comes again within the window is a duplicate, whatever else came in between',
  async (t) => {
    const duplicates = new Duplicates(100, 10 * MINUTE_MS);
    const other = event({ uuid: asEventUuid('33333333-3333-7333-8333-333333333333') });
    t.equal(duplicates.isRepeat(event(), 1, 0), false);
    t.equal(duplicates.isRepeat(other, 2, MINUTE_MS), false);
    t.equal(duplicates.isRepeat(event(), 3, 9 * MINUTE_MS), true);
    t.equal(duplicates.isRepeat(event(), 1, 9 * MINUTE_MS), false, 'but not of itself');
    t.equal(duplicates.isRepeat(event({ name: 'other' }), 4, MINUTE_MS), false);
    t.equal(duplicates.isRepeat(event({ distinctId: asDistinctId('bob') }), 5, MINUTE_MS), false);
    t.equal(duplicates.isRepeat(event({ name: 'other' }), 6, MINUTE_MS), true, 'an uuid of several, each');
  },
);

t.test('after the window it counts as new, and the window begins again', async (t) => {
  const duplicates = new Duplicates(100, 10 * MINUTE_MS);
  t.equal(duplicates.isRepeat(event(), 1, 0), false);
  t.equal(duplicates.isRepeat(event(), 2, 11 * MINUTE_MS), false);
  t.equal(duplicates.isRepeat(event(), 3, 12 * MINUTE_MS), true);
});

t.test('no more are remembered than the bound says, and the oldest go first', async (t) => {
  const duplicates = new Duplicates(2, 10 * MINUTE_MS);
  const events = ['a', 'b', 'c'].map((letter) =>
    event({ uuid: asEventUuid(`22222222-2222-7222-8222-22222222222${letter}`) }),
  );
  for (const [index, one] of events.entries()) duplicates.isRepeat(one, index, 0);
  t.same(
    events.map((one) => duplicates.isRepeat(one, 10, 0)),
    [false, false, false],
    'a was forgotten; remembering it again pushed b out, and so on',
  );
});
