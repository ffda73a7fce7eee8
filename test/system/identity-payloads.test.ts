/** Ids that nobody should send, through the door. */
import t from 'tap';
import { dataFolder, startSystem } from './harness.ts';

t.test('identify and alias with odd ids end as rows or drops, each with a warning to be found', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const identify = (anonId: unknown) => ({
    event: '$identify',
    distinct_id: 'ann',
    properties: { $anon_distinct_id: anonId },
  });
  const alias = (distinctId: string, other: unknown) => ({
    event: '$create_alias',
    distinct_id: distinctId,
    properties: { alias: other },
  });
  await system.send([
    identify('with\0nul'),
    identify('half \ud800 a character'),
    identify('x'.repeat(10_000)),
    identify(''),
    identify('   '),
    identify('undefined'),
    identify(42),
    alias('ann', ['list']),
    alias('ann', 'ann'),
    alias('bob', 'cy'),
    alias('cy', 'bob'),
  ]);
  const books = await system.settled();
  t.match(books, { rows: 9, dropped: { invalid_anon_distinct_id: 1, invalid_alias: 1 }, imbalance: 0 });
  const ids = await system.postgres(
    'SELECT distinct_id FROM posthog_persondistinctid ORDER BY length(distinct_id), 1',
  );
  t.same(
    ids.map(({ distinct_id }) => distinct_id),
    ['cy', 'ann', 'bob', 'with\ufffdnul', 'half \ufffd a character', 'x'.repeat(200)],
  );
  const warnings = await system.sql(
    'SELECT type, count() AS count FROM ingestion_warnings GROUP BY type ORDER BY type',
  );
  t.same(
    warnings.map(({ type, count }) => `${count} ${type}`),
    [
      '3 cannot_merge_with_illegal_distinct_id',
      '1 distinct_id_truncated',
      '1 invalid_alias',
      '1 invalid_anon_distinct_id',
    ],
  );
});
