/** PostHog's Python SDK, as an application uses it. */
import t from 'tap';
import { dataFolder, startSystem, TOKEN } from '../system/harness.ts';
import { runPython } from './application.ts';
import { startRestartable } from './restartable.ts';
import { namesOf, personsOf, rowsOf } from './rows.ts';

t.setTimeout(600_000);

const NAMES = ['$create_alias', '$groupidentify', '$identify', '$set', '$set_once', 'bought', 'looked'];

t.test('posthog-python', async (t) => {
  const system = await startSystem(t, await dataFolder(t));

  const kinds: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    'as plain JSON': {},
    'with gzip': { gzip: true },
    'one request for each event': { sync_mode: true },
    'as a historical migration': { historical_migration: true },
    'by capture V1': { capture_mode: 'v1' },
    'by capture V1, with gzip': { capture_mode: 'v1', capture_compression: 'gzip' },
    'by capture V1, with deflate': { capture_mode: 'v1', capture_compression: 'deflate' },
    'by capture V1, with zstd': { capture_mode: 'v1', capture_compression: 'zstd' },
  };
  for (const [name, options] of Object.entries(kinds)) {
    t.test(`what an application tells of a user is there, ${name}`, async (t) => {
      const { made, errors } = await runPython({
        token: TOKEN,
        host: system.captureUrl,
        name: `user ${name}`,
        events: 30,
        options,
      });
      t.same(errors, [], 'the SDK has nothing to complain about');
      const rows = await rowsOf(t, system, () => made);
      t.same(namesOf(rows), NAMES);
      t.equal(personsOf(rows).size, 1, 'all of one person');
      const isHistorical = options['historical_migration'] === true;
      t.ok(rows.every((row) => row.isHistorical === isHistorical));
      const [person] = await system.postgres(`
        SELECT p.properties - '$creator_event_uuid' AS properties, p.is_identified
        FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id
        WHERE d.distinct_id = 'user ${name}'`);
      t.match(person, { properties: { plan: 'paid', source: 'advert' }, is_identified: true });
    });
  }

  t.test('nothing is lost while the server is being restarted', async (t) => {
    const server = await startRestartable(t);
    let restarting: Promise<void> | undefined;
    const { made, errors } = await runPython(
      {
        token: TOKEN,
        host: server.front.url,
        name: 'patient',
        events: 300,
        pause_s: 0.02,
        flush_at: 10,
        options: { max_retries: 10 },
      },
      (count) => {
        if (count === 100) restarting = server.restart();
      },
    );
    t.same(errors, []);
    await restarting;
    t.ok(server.front.turnedAway > 0, 'somebody was turned away meanwhile');
    const rows = await rowsOf(t, server.system, () => made);
    t.equal(personsOf(rows).size, 1);
  });
});
