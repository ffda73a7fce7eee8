/** A real posthog-node in each way that it has to send. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PostHog } from 'posthog-node';
import t, { type Test } from 'tap';
import { dataFolder, startSystem, TOKEN } from '../system/harness.ts';
import { type Front, startFront } from './front.ts';
import { startRestartable } from './restartable.ts';
import { namesOf, personsOf, rowsOf } from './rows.ts';
import type { Made } from './site.ts';

t.setTimeout(600_000);

const MODE = 'POSTHOG_CAPTURE_MODE';
/** As long as the SDK may take to send what it has. */
const PATIENCE_MS = 60_000;

type Options = ConstructorParameters<typeof PostHog>[1];

/** What the SDK says when it has put an event into its queue. */
const KINDS = ['capture', 'identify', 'alias'];
interface Message {
  readonly uuid: string;
  readonly event: string;
  readonly distinct_id: string;
}

interface Client {
  readonly posthog: PostHog;
  readonly made: Made[];
  readonly errors: unknown[];
}

/** `mode`: as the environment of an application says it. */
function client(t: Test, mode: 'v0' | 'v1', options: Options): Client {
  const before = process.env[MODE];
  process.env[MODE] = mode;
  const made: Made[] = [];
  const errors: unknown[] = [];
  const posthog = new PostHog(TOKEN, options);
  for (const kind of KINDS) {
    posthog.on(kind, ({ uuid, event, distinct_id }: Message) =>
      made.push({ uuid, event, distinctId: distinct_id }),
    );
  }
  if (before === undefined) delete process.env[MODE];
  else process.env[MODE] = before;
  posthog.on('error', (error: unknown) => errors.push(error));
  t.teardown(() => posthog.shutdown());
  return { posthog, made, errors };
}

function useIt({ posthog }: Client, name: string): void {
  posthog.capture({ distinctId: `${name} anonymous`, event: 'looked' });
  posthog.identify({
    distinctId: name,
    properties: { $set: { plan: 'free' }, $anon_distinct_id: `${name} anonymous` },
  });
  posthog.alias({ distinctId: name, alias: `${name} alias` });
  posthog.groupIdentify({ groupType: 'company', groupKey: name, distinctId: name });
  posthog.capture({ distinctId: name, event: 'bought', properties: { $set: { plan: 'paid' } } });
}

t.test('posthog-node', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const host = system.captureUrl;

  for (const mode of ['v0', 'v1'] as const) {
    for (const options of [{}, { disableCompression: true }, { historicalMigration: true }, { flushAt: 1 }]) {
      const name = `${mode} ${JSON.stringify(options)}`;
      t.test(`what an application tells of a user is there: ${name}`, async (t) => {
        const one = client(t, mode, { host, ...options });
        useIt(one, name.replaceAll('"', ''));
        await one.posthog.shutdown();
        t.same(one.errors, []);
        const rows = await rowsOf(t, system, () => one.made);
        t.same(namesOf(rows), ['$create_alias', '$groupidentify', '$identify', 'bought', 'looked']);
        t.equal(personsOf(rows).size, 1, 'all of one person');
        const isHistorical = 'historicalMigration' in options;
        t.ok(rows.every((row) => row.isHistorical === isHistorical));
      });
    }

    t.test(`nothing is lost while the server is busy, and then gone: ${mode}`, async (t) => {
      const front = await startFront(t, host);
      const one = client(t, mode, { host: front.url, fetchRetryDelay: 200, fetchRetryCount: 20 });
      one.posthog.capture({ distinctId: `patient ${mode}`, event: 'before' });
      await one.posthog.flush();
      for (const mood of ['busy', 'gone'] as const) {
        front.mood = mood;
        one.posthog.capture({ distinctId: `patient ${mode}`, event: mood });
        const flushing = one.posthog.flush();
        await turnedAway(front);
        front.mood = 'open';
        await flushing;
      }
      const rows = await rowsOf(t, system, () => one.made);
      t.same(namesOf(rows), ['before', 'busy', 'gone']);
      t.equal(personsOf(rows).size, 1);
    });

    t.test(`nothing is lost while the server is being restarted: ${mode}`, async (t) => {
      const server = await startRestartable(t);
      const { posthog, made } = client(t, mode, {
        host: server.front.url,
        flushAt: 10,
        fetchRetryDelay: 200,
        fetchRetryCount: 100,
      });
      let isDown = true;
      const restarting = server.restart().finally(() => {
        isDown = false;
      });
      for (let number = 0; isDown || number < 20; number++) {
        posthog.capture({ distinctId: 'patient', event: `event ${number}` });
        await sleep(20);
      }
      await restarting;
      await posthog.shutdown(PATIENCE_MS);
      t.ok(server.front.turnedAway > 0, 'somebody was turned away meanwhile');
      const rows = await rowsOf(t, server.system, () => made);
      t.equal(personsOf(rows).size, 1, 'all of one person');
    });
  }
});

async function turnedAway(front: Front): Promise<void> {
  const before = front.turnedAway;
  while (front.turnedAway === before) await sleep(20);
}
