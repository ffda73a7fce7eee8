import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { STORE_FOLDERS } from '../../../src/stores.ts';
import { dataFolder, startSystem } from '../harness.ts';
import { noSmallDisk, smallDisk } from './full-disk.ts';
import { ask, complaints, notReady, ready, residentMib } from './look.ts';
import { Sender } from './sender.ts';

t.setTimeout(600_000);

t.test(
  'when the disk of Postgres is full events are taken, and become rows once there is space',
  { skip: noSmallDisk },
  async (t) => {
    const dataDir = await dataFolder(t);
    const disk = smallDisk(t, join(dataDir, STORE_FOLDERS.postgres), 400);
    const system = await startSystem(t, dataDir);
    const before = await residentMib(system);
    const sender = new Sender(t, system, { personFillerChars: 20_000 });
    await sender.takes(200);

    await disk.fill();
    const { text } = await notReady(system, /No space left on device/);
    t.comment(text);
    await sleep(2_000);
    await notReady(system, /No space left on device/);
    t.equal((await ask(system, '/_health')).status, 200, 'no restart is needed');
    await sender.takes(50);
    t.ok((await residentMib(system)) - before < 300, 'memory is bounded');
    t.ok(complaints(system, /No space left on device/).length > 0, 'the log says what is wrong');

    await disk.free();
    t.comment(`ready after ${await ready(system)} ms`);
    await sender.takes(100);
    t.same(await sender.problems(), []);
    t.same([...sender.statuses.keys()], [200], 'nobody was turned away');
    t.comment(`${sender.summary()}; ${before} MiB, then ${await residentMib(system)}`);
  },
);
