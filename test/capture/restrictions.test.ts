import t from 'tap';
import { asDistinctId, asToken } from '../../src/event/ids.ts';
import type { Restrictions } from '../../src/event/restriction.ts';
import type { TeamStore } from '../../src/storage/team-store.ts';
import { capture, TEAM, TOKEN } from './harness.ts';

const knows = (restrictions: Restrictions): TeamStore => {
  const team = { ...TEAM, restrictions };
  return { byToken: async () => team, cached: () => team };
};

const batch = (...ids: readonly string[]) => ({
  api_key: TOKEN,
  batch: ids.map((distinct_id) => ({ event: 'clicked', distinct_id, properties: {} })),
});

t.test('events of a distinct id that is restricted to "drop" end at the door, each counted', async (t) => {
  const teams = knows({
    ofAll: new Set(),
    ofIds: new Map([[asDistinctId('bot'), new Set(['drop'] as const)]]),
  });
  const { server, log, post } = await capture(t, { teams });
  t.match(await post('/batch', batch('ann', 'bot', 'bob', 'bot')), { status: 200 });
  t.match(await post('/i/v0/e', { api_key: TOKEN, event: 'clicked', distinct_id: 'bot' }), { status: 200 });
  t.same(
    log.events().map(({ distinct_id }) => distinct_id),
    ['ann', 'bob'],
  );
  t.match(server.door(), { discarded: { restriction: 3 } });
  t.match(await post('/batch', batch('ann', '')), { status: 400 }, 'what is wrong is refused as before');
});

t.test('a whole project can be dropped, and other restrictions are not for the door', async (t) => {
  const ids = new Map([[asDistinctId('ann'), new Set(['drop'] as const)]]);
  const { log, post } = await capture(t, { teams: knows({ ofAll: new Set(['drop']), ofIds: new Map() }) });
  t.match(await post('/batch', batch('ann', 'bob')), { status: 200 });
  t.same(log.events(), []);

  const other = knows({ ofAll: new Set(['no_person_profile', 'overflow']), ofIds: ids });
  const { log: otherLog, post: otherPost } = await capture(t, { teams: other });
  t.match(await otherPost('/batch', batch('ann', 'bob')), { status: 200 });
  t.equal(otherLog.events().length, 1);
});

t.test('with the projects away nothing is restricted: the worker judges', async (t) => {
  const teams: TeamStore = {
    byToken: async () => {
      throw new Error('away');
    },
    cached: () => 'ask',
  };
  const { log, post } = await capture(t, { teams });
  t.match(await post('/batch', { ...batch('bot'), api_key: asToken('phc_unknown') }), { status: 200 });
  t.equal(log.events().length, 1);
});
