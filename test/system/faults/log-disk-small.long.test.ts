import { join } from 'node:path';
import t from 'tap';
import { STORE_FOLDERS } from '../../../src/stores.ts';
import { dataFolder, startSystem } from '../harness.ts';
import { noSmallDisk, smallDisk } from './full-disk.ts';
import { notReady, ready } from './look.ts';
import { Sender } from './sender.ts';

t.setTimeout(90_000);

t.test(
  'a disk too small for an hour of events makes room by forgetting what everybody has read',
  { skip: noSmallDisk },
  async (t) => {
    const dataDir = await dataFolder(t);
    smallDisk(t, join(dataDir, STORE_FOLDERS.log), 16);
    const system = await startSystem(t, dataDir);
    const sender = new Sender(t, system, { fillerChars: 20_000 });
    await notReady(system, /^log: failed/m, 30_000);
    t.comment(`ready after ${await ready(system)} ms`);
    await sender.takes(300, 30_000);
    t.same(await sender.problems(), []);
    t.comment(sender.summary());
  },
);
