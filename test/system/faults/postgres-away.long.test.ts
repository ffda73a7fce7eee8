import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { startEmbeddedPostgres } from '../../../src/storage/embedded/postgres-server.ts';
import { quietLogger } from '../../../tools/suite-logs.ts';
import { dataFolder, startSystem, until } from '../harness.ts';
import { ask, complaints, notReady, ready, residentMib } from './look.ts';
import { Sender } from './sender.ts';
import { slowProxy } from './slow-proxy.ts';

t.setTimeout(600_000);

t.test('a server of Postgres that goes away, or answers late, costs time and no event', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-away-'));
  const server = await startEmbeddedPostgres({ dir, logger: quietLogger });
  t.teardown(async () => {
    await server.stop();
    await rm(dir, { recursive: true });
  });
  const proxy = await slowProxy(t, server.url);
  const system = await startSystem(t, await dataFolder(t), {
    DATABASE_URL: proxy.url,
    TRIBUTARY_DEV_PROJECT: 'on',
  });
  const before = await residentMib(system);
  const sender = new Sender(t, system);
  await sender.takes(200);

  await t.test('killed and started again by its owner', async (t) => {
    process.kill(Number.parseInt(await readFile(join(dir, 'pgdata/postmaster.pid'), 'utf8'), 10), 'SIGKILL');
    const { text } = await notReady(system, /^Postgres: failed/m);
    t.comment(text);
    await sender.takes(50);
    t.equal((await ask(system, '/_health')).status, 200, 'no restart of this process is needed');
    await server.startAgain();
    t.comment(`ready ${await ready(system)} ms after its start`);
    t.ok(complaints(system, /what is in memory is dropped/).length > 0, 'the log says what happened');
  });

  await t.test('each answer two seconds late', async (t) => {
    // With connections open again: making one takes several answers, and that late it comes to no end.
    await sender.takes(50);
    await sleep(2_000);
    const late = () => complaints(system, /Postgres answers late/).length;
    const lateBefore = late();
    proxy.delay(2_000);
    const { text } = await notReady(system, /^Postgres: failed \(no answer within 2000 ms\)/m);
    t.comment(text);
    await sender.takes(50);
    // The worker may have to wait for a connection that is open: a new one comes to no end.
    await until('the log says that Postgres answers late', async () => late() > lateBefore || undefined);
    await sleep(8_000);
    t.equal((await ask(system, '/_health')).status, 200);
    t.equal(late(), lateBefore + 1, 'the log says it once');
    t.ok((await residentMib(system)) - before < 150, 'memory is bounded');
    proxy.delay(0);
    t.comment(`ready ${await ready(system)} ms after the last late answer`);
  });

  await sender.takes(200);
  t.same(await sender.problems(), []);
  t.same([...sender.statuses.keys()], [200], 'nobody was turned away');
  t.comment(`${sender.summary()}; ${before} MiB, then ${await residentMib(system)}`);
});
