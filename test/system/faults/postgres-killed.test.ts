import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { STORE_FOLDERS } from '../../../src/stores.ts';
import { dataFolder, startSystem, type TestSystem } from '../harness.ts';
import { ask, complaints, notReady, ready } from './look.ts';
import { Sender } from './sender.ts';

t.setTimeout(600_000);

const postmaster = async ({ dataDir }: TestSystem): Promise<number> =>
  Number.parseInt(await readFile(join(dataDir, STORE_FOLDERS.postgres, 'pgdata/postmaster.pid'), 'utf8'), 10);

t.test(
  'an embedded Postgres that is killed is started again, and every event taken meanwhile is a row',
  async (t) => {
    const system = await startSystem(t, await dataFolder(t));
    const sender = new Sender(t, system);
    await sender.takes(200);

    for (let kill = 0; kill < 2; kill++) {
      const killed = await postmaster(system);
      process.kill(killed, 'SIGKILL');
      const said = await notReady(system, /the embedded PostgreSQL has ended and is being started again/);
      t.comment(said.text);
      t.equal((await ask(system, '/_health')).status, 200, 'no restart is needed');
      await sender.takes(20);
      t.comment(`ready after ${await ready(system)} ms`);
      t.not(await postmaster(system), killed);
    }
    t.equal(complaints(system, /is being started again/).length, 2);

    const [backend] = await system.postgres(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'tributary' AND pid <> pg_backend_pid() LIMIT 1",
    );
    process.kill(Number(backend?.['pid']), 'SIGKILL');
    await sender.takes(100);
    t.comment(`ready after a killed backend in ${await ready(system)} ms`);

    await sender.takes(200);
    t.same(await sender.problems(), []);
    t.same([...sender.statuses.keys()], [200], 'nobody was turned away');
    t.comment(sender.summary());
  },
);
