import { chown, cp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { STORE_FOLDERS } from '../../../src/stores.ts';
import { dataFolder, startSystem } from '../harness.ts';
import { noSmallDisk, smallDisk } from './full-disk.ts';
import { ask, complaints, notReady, ready } from './look.ts';
import { Sender } from './sender.ts';

t.setTimeout(600_000);

t.test(
  'an embedded Postgres that ends because its WAL has no space is started again until it has some',
  { skip: noSmallDisk },
  async (t) => {
    const dataDir = await dataFolder(t);
    await (await startSystem(t, dataDir)).end('SIGTERM');
    const wal = join(dataDir, STORE_FOLDERS.postgres, 'pgdata/pg_wal');
    const copy = join(dataDir, 'pg_wal');
    await cp(wal, copy, { recursive: true, preserveTimestamps: true });
    const { uid, gid } = await stat(wal);
    const disk = smallDisk(t, wal, 100);
    await cp(copy, wal, { recursive: true });
    await rm(copy, { recursive: true });
    await own(wal, uid, gid);

    const system = await startSystem(t, dataDir);
    const sender = new Sender(t, system, { personFillerChars: 40_000 });
    await sender.takes(20);
    await disk.fill();
    await notReady(system, /the embedded PostgreSQL has ended and is being started again/);
    const { text } = await notReady(system, /does not start: .*No space left on device/);
    t.comment(text);
    t.equal((await ask(system, '/_health')).status, 200, 'no restart of this process is needed');
    await sender.takes(20);
    t.ok(complaints(system, /does not start again/).length > 0, 'the log says so each time');

    await disk.free();
    t.comment(`ready after ${await ready(system)} ms`);
    await sender.takes(20);
    t.same(await sender.problems(), []);
    t.same([...sender.statuses.keys()], [200], 'nobody was turned away');
    t.comment(sender.summary());
  },
);

async function own(path: string, uid: number, gid: number): Promise<void> {
  await chown(path, uid, gid);
  for (const name of await readdir(path, { recursive: true })) await chown(join(path, name), uid, gid);
}
