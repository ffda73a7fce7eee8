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
  'when the disk of the log is full events are refused, and taken again once there is space',
  { skip: noSmallDisk },
  async (t) => {
    const dataDir = await dataFolder(t);
    const disk = smallDisk(t, join(dataDir, STORE_FOLDERS.log), 128);
    const system = await startSystem(t, dataDir);
    const before = await residentMib(system);
    const sender = new Sender(t, system, { fillerChars: 4_000 });
    await sender.takes(200);

    await disk.fill();
    const { text } = await notReady(system, /^log: failed \(.*(No space left|disk full)/m);
    t.comment(text);
    await sleep(3_000);
    t.ok((sender.statuses.get(503) ?? 0) > 0, 'events are refused');
    t.equal((await ask(system, '/_ready')).status, 503, 'it stays so');
    t.equal((await ask(system, '/_health')).status, 200, 'no restart is needed');
    t.ok((await residentMib(system)) - before < 200, 'memory is bounded');
    t.ok(complaints(system, /the log cannot be written/).length > 0);
    t.ok(complaints(system, /./).length < 30, 'one fault is not one line for each request');

    await disk.free();
    t.comment(`ready after ${await ready(system)} ms`);
    await sender.takes(200);
    t.same(await sender.problems(), []);
    t.same([...sender.statuses.keys()].sort(), [200, 503], 'everybody got an answer');
    t.comment(`${sender.summary()}; ${before} MiB, then ${await residentMib(system)}`);
  },
);
