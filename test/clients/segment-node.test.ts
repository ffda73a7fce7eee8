/** Segment's own client for Node, with nothing changed but its host. */
import { Analytics } from '@segment/analytics-node';
import t from 'tap';
import { dataFolder, startSystem, TOKEN } from '../system/harness.ts';

t.setTimeout(600_000);

t.test('what a Segment client tells of a user is there, of one person', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const analytics = new Analytics({ writeKey: TOKEN, host: system.captureUrl, path: '/v1/batch' });
  const errors: unknown[] = [];
  analytics.on('error', (error) => errors.push(error));
  analytics.page({ anonymousId: 'visitor', name: 'Shoes', properties: { url: 'https://shop/shoes' } });
  analytics.track({ anonymousId: 'visitor', event: 'looked', properties: { at: 'shoes' } });
  analytics.identify({ anonymousId: 'visitor', userId: 'alice', traits: { plan: 'free' } });
  analytics.track({ userId: 'alice', event: 'bought', properties: { price: 12.5 } });
  analytics.group({ userId: 'alice', groupId: 'acme', traits: { size: 3 } });
  analytics.screen({ userId: 'alice', name: 'Basket' });
  analytics.alias({ userId: 'alice@shop', previousId: 'alice' });
  await analytics.closeAndFlush();
  t.same(errors, []);
  const books = await system.settled();
  t.match(books, { acknowledged: 7, rows: 7, imbalance: 0 });

  const rows = await system.sql(`
    SELECT event, e.distinct_id AS id, toString(if(o.version > 0, o.person_id, e.person_id)) AS person
    FROM events AS e FINAL LEFT JOIN person_distinct_id2 AS o FINAL ON o.distinct_id = e.distinct_id`);
  t.same(rows.map(({ event }) => event).toSorted(), [
    '$create_alias',
    '$groupidentify',
    '$identify',
    '$pageview',
    '$screen',
    'bought',
    'looked',
  ]);
  t.equal(new Set(rows.map(({ person }) => person)).size, 1, 'all of one person');
  const [person] = await system.postgres(`
    SELECT p.properties - '$creator_event_uuid' AS properties
    FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id WHERE d.distinct_id = 'alice@shop'`);
  t.match(person, { properties: { plan: 'free' } });
  const groups = await system.postgres('SELECT group_key, group_properties FROM posthog_group');
  t.match(groups, [{ group_key: 'acme', group_properties: { size: 3 } }]);
});
