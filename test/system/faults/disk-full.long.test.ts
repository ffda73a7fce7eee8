import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { dataFolder, startSystem } from '../harness.ts';
import { noSmallDisk, smallDisk } from './full-disk.ts';
import { ask, complaints, notReady, ready, residentMib } from './look.ts';
import { Sender } from './sender.ts';

t.setTimeout(600_000);

t.test(
  'when the one disk of all stores is full, everything goes on once there is space',
  { skip: noSmallDisk },
  async (t) => {
    const dataDir = await dataFolder(t);
    const disk = smallDisk(t, dataDir, 600);
    const system = await startSystem(t, dataDir);
    const before = await residentMib(system);
    const sender = new Sender(t, system, { fillerChars: 4_000, personFillerChars: 4_000 });
    await sender.takes(200);

    for (let round = 0; round < 2; round++) {
      await disk.fill();
      await notReady(system, /^log: failed/m);
      const refused = sender.statuses.get(503) ?? 0;
      await sleep(4_000);
      const { text } = await notReady(system, /^log: failed/m);
      t.comment(text);
      t.ok((sender.statuses.get(503) ?? 0) > refused, 'events are refused');
      t.equal((await ask(system, '/_health')).status, 200, 'no restart is needed');
      t.ok((await residentMib(system)) - before < 250, 'memory is bounded');
      await disk.free();
      t.comment(`ready after ${await ready(system)} ms`);
      await sender.takes(100);
    }
    t.same(await sender.problems(), []);
    t.comment(
      `${complaints(system, /./).length} warnings; ${sender.summary()}; ${before} MiB, then ${await residentMib(system)}`,
    );
  },
);
