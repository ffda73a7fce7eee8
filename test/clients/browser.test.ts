/** A real posthog-js in a real browser, as a site has it: every event that it makes is a row, on the right person. */
import t, { type Test } from 'tap';
import { dataFolder, startSystem, TOKEN, until } from '../system/harness.ts';
import { startBrowser } from './browser.ts';
import { startFront } from './front.ts';
import { namesOf, personsOf, rowsOf } from './rows.ts';
import { type Page, startSite } from './site.ts';

t.setTimeout(600_000);

/** The SDK sends every 3 s. */
const TURNED_AWAY_MS = 30_000;

type Options = Page['options'];

t.test('posthog-js in Chromium', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const site = await startSite(t);
  const browser = await startBrowser(t);

  const open = async (t: Test, by: Page['by'], options: Options = {}, host = system.captureUrl) => {
    const path = site.add({ by, host, token: TOKEN, options });
    return { path, ...(await browser.visit(t, site.url + path)) };
  };

  for (const by of ['bundle', 'snippet'] as const) {
    for (const disable_compression of [false, true]) {
      const how = `by the ${by}, ${disable_compression ? 'as plain JSON' : 'compressed'}`;
      t.test(`a visitor who signs up is one person, ${how}`, async (t) => {
        const visit = await open(t, by, { disable_compression });
        const name = `${by} ${disable_compression}`;
        const made = (event: string) => site.madeOn(visit.path).filter((one) => one.event === event);
        // Until its configuration has come, the SDK does not watch clicks.
        await until('a click is an event', async () => {
          await visit.page.click('#buy');
          return made('$autocapture').length > 0 || undefined;
        });
        await visit.page.evaluate(`
          posthog.capture('looked', { at: 'shoes' });
          posthog.identify('${name}', { plan: 'free' }, { source: 'advert' });
        `);
        // The SDK sends it by itself and compresses it in the background: a page that closes meanwhile takes it along.
        await rowsOf(t, system, () => made('$identify'));
        await visit.page.evaluate(`
          posthog.alias('${name} alias');
          posthog.group('company', '${name} company', { size: 3 });
          posthog.capture('bought', { price: 12.5 });
          posthog.reset();
          posthog.capture('after reset');
        `);
        await visit.page.close({ runBeforeUnload: true });
        const rows = await rowsOf(t, system, () => site.madeOn(visit.path));
        t.same(namesOf(rows), [
          '$autocapture',
          '$create_alias',
          '$groupidentify',
          '$identify',
          '$pageleave',
          '$pageview',
          'after reset',
          'bought',
          'looked',
        ]);
        t.equal(personsOf(rows).size, 2, 'the visitor, and who came after the reset');
        t.same(visit.complaints, []);
      });
    }
  }

  for (const [person_profiles, modes] of [
    ['identified_only', { before: 'propertyless', after: 'full' }],
    ['always', { before: 'full', after: 'full' }],
    ['never', { before: 'propertyless', after: 'propertyless' }],
  ] as const) {
    t.test(`persons are made as person_profiles: ${person_profiles} says`, async (t) => {
      const visit = await open(t, 'bundle', { person_profiles });
      await visit.page.evaluate(`
        posthog.capture('before');
        posthog.identify('${person_profiles}');
        posthog.capture('after');
      `);
      const rows = await rowsOf(t, system, () => site.madeOn(visit.path));
      const modeOf = (name: string) => rows.find(({ event }) => event === name)?.person_mode;
      t.same({ before: modeOf('before'), after: modeOf('after') }, modes);
      const known = await system.postgres(
        `SELECT FROM posthog_persondistinctid WHERE distinct_id = '${person_profiles}'`,
      );
      t.equal(known.length, person_profiles === 'never' ? 0 : 1);
      t.equal(personsOf(rows).size, 1, 'all of one person');
      t.same(visit.complaints, []);
    });
  }

  for (const mood of ['busy', 'gone'] as const) {
    t.test(`nothing is lost while the server is ${mood}`, async (t) => {
      const front = await startFront(t, system.captureUrl);
      const visit = await open(t, 'bundle', {}, front.url);
      await visit.page.evaluate(`posthog.capture('before')`);
      front.mood = mood;
      await visit.page.evaluate(`posthog.capture('meanwhile'); posthog.identify('who waits for ${mood}')`);
      await until('somebody is turned away', async () => front.turnedAway > 0 || undefined, TURNED_AWAY_MS);
      front.mood = 'open';
      await visit.page.evaluate(`posthog.capture('afterwards')`);
      const rows = await rowsOf(t, system, () => site.madeOn(visit.path));
      t.same(namesOf(rows), ['$identify', '$pageview', 'afterwards', 'before', 'meanwhile']);
      t.equal(personsOf(rows).size, 1, 'all of one person');
      t.same(
        visit.complaints.filter((text) => !text.startsWith('Failed to load resource')),
        [],
        'only the browser itself says that somebody did not answer',
      );
    });
  }
});
