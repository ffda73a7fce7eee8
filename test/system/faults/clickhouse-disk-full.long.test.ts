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
  'while ClickHouse refuses inserts because its disk is full events are taken, and become rows afterwards',
  { skip: noSmallDisk },
  async (t) => {
    const dataDir = await dataFolder(t);
    const disk = smallDisk(t, join(dataDir, STORE_FOLDERS.clickHouse), 200);
    const system = await startSystem(t, dataDir);
    const before = await residentMib(system);
    const sender = new Sender(t, system, { fillerChars: 4_000 });
    await sender.takes(200);

    await disk.fill();
    const { text } = await notReady(system, /^loader: failed \(insert into \w+: /m);
    t.comment(text);
    await sleep(2_000);
    await sender.takes(50);
    t.comment((await ask(system, '/_ready')).text);
    t.equal((await ask(system, '/_ready')).status, 503, 'it stays so');
    t.equal((await ask(system, '/_health')).status, 200, 'no restart is needed');
    t.ok((await residentMib(system)) - before < 250, 'memory is bounded');
    t.ok(complaints(system, /insert into \w+ failed/).length > 0, 'the log says what is wrong');

    await disk.free();
    t.comment(`ready after ${await ready(system)} ms`);
    await sender.takes(100);
    t.same(await sender.problems(), []);
    t.same([...sender.statuses.keys()], [200], 'nobody was turned away');
    t.comment(`${sender.summary()}; ${before} MiB, then ${await residentMib(system)}`);
  },
);
