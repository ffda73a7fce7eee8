import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { SpoolLifecycle, type SpoolMode } from '../../src/capture/spool/lifecycle.ts';
import { openSpool } from '../../src/capture/spool/open.ts';
import { systemClock } from '../../src/clock.ts';
import { Metrics } from '../../src/metrics.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { capture, event, TOKEN } from './harness.ts';
import { chanceOf, Process, SMALL, World } from './spool-world.ts';

t.setTimeout(300_000);

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-spool-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const make = (key: string, value: string, padding = ''): AppendRecord => ({
  topic: 'events_plugin_ingestion',
  key,
  value,
  headers: { uuid: '018f0000-0000-7000-8000-000000000001', event: 'e', distinct_id: key, padding },
  timestamp: 1_700_000_000_000,
});

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 6_000) throw new Error(`still not so after a minute: ${holds}`);
    await pause(10);
  }
}

const valuesOf = (records: readonly AppendRecord[], topic = 'events_plugin_ingestion') =>
  records.filter((record) => record.topic === topic).map(({ value }) => Buffer.from(value).toString());

t.test('it moves as its table says, and no other way', async (t) => {
  const modes: readonly SpoolMode[] = ['direct', 'spooling', 'switching'];
  const allowed = ['direct spooling', 'spooling switching', 'switching direct', 'switching spooling'];
  const ways: Record<SpoolMode, readonly SpoolMode[]> = {
    direct: [],
    spooling: ['spooling'],
    switching: ['spooling', 'switching'],
  };
  for (const from of modes) {
    for (const to of modes) {
      const lifecycle = new SpoolLifecycle(true);
      for (const step of ways[from]) lifecycle.move(step);
      if (allowed.includes(`${from} ${to}`)) lifecycle.move(to);
      else t.throws(() => lifecycle.move(to), /cannot go from/);
    }
  }
  t.equal(new SpoolLifecycle(false).mode, 'spooling');
});

const KEYS = ['ann', 'bob', 'cid'];
const EVENTS = 40;

async function outages(t: Test, seed: number): Promise<string | undefined> {
  const chance = chanceOf(seed);
  const world = new World(await folder(t), chance);
  world.log.failures = chance() * 0.2;
  let process = await Process.start(world);
  let died: () => void = () => {};
  let death = new Promise<void>((resolve) => {
    died = resolve;
  });
  const acknowledged: string[] = [];
  let active = KEYS.length;

  const send = async (key: string, value: string) => {
    const isTaken = process.log.append([make(key, value)]).then(
      () => true,
      () => false,
    );
    if (await Promise.race([isTaken, death])) acknowledged.push(value);
  };
  const client = async (key: string) => {
    for (let number = 0; number < EVENTS; ) {
      // Several at once as well: what came first stays first.
      const burst = Array.from({ length: chance() < 0.3 ? 3 : 1 }, () => `${key} ${number++}`);
      const answers: Promise<void>[] = [];
      for (const value of burst) {
        answers.push(send(key, value));
        await pause(burst.length > 1 ? chance() * 20 : 0);
      }
      await Promise.all(answers);
      await pause(chance() * 4);
    }
    active--;
  };
  const clients = KEYS.map(client);
  while (active > 0) {
    world.log.isAway = chance() < 0.4;
    await pause(chance() * 60);
    if (chance() < 0.2) {
      await process.die();
      died();
      death = new Promise((resolve) => {
        died = resolve;
      });
      process = await Process.start(world);
    }
  }
  await Promise.all(clients);
  world.log.isAway = false;
  world.log.failures = 0;
  await until(() => process.log.mode === 'direct');

  const firsts = new Map<string, number>();
  for (const [place, value] of valuesOf(world.log.records).entries()) {
    if (!firsts.has(value)) firsts.set(value, place);
  }
  const lost = acknowledged.filter((value) => !firsts.has(value));
  if (lost.length > 0) return `lost: ${lost}`;
  for (const key of KEYS) {
    const own = acknowledged.filter((value) => value.startsWith(key));
    const numbers = own
      .toSorted((a, b) => (firsts.get(a) ?? 0) - (firsts.get(b) ?? 0))
      .map((value) => Number(value.split(' ')[1]));
    if (numbers.some((number, index) => number < (numbers[index - 1] ?? 0)))
      return `order of ${key}: ${numbers}`;
  }
  if (world.damagedBytes > 0) return `${world.damagedBytes} bytes damaged`;
  const { events } = process.log.depth();
  await process.log.close();
  return events === 0 && acknowledged.length > 0 ? undefined : `${events} left, ${acknowledged.length} taken`;
}

t.test('whatever fails and dies, nothing acknowledged is lost and each key keeps its order', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const fault = await outages(t, seed);
      if (fault !== undefined) throw new Error(fault);
    }),
    { numRuns: 25, endOnFailure: true },
  );
});

t.test('a full spool refuses what is new, and loses nothing', async (t) => {
  const world = new World(await folder(t), chanceOf(1), { bytesMax: 5_000 });
  const process = await Process.start(world);
  world.log.isAway = true;
  const kept: string[] = [];
  let refused = 0;
  for (let number = 0; number < 50; number++) {
    const value = `event ${number}`;
    await process.log.append([make('ann', value, 'x'.repeat(200))]).then(
      () => kept.push(value),
      (error: Error) => {
        refused++;
        t.equal(error.name, 'SpoolFullError');
      },
    );
  }
  t.ok(refused > 10 && kept.length > 5, `${kept.length} kept, ${refused} refused`);
  t.match(process.log.trouble(), /the spool is full/);
  t.ok(process.log.depth().bytes <= 5_000);
  world.log.isAway = false;
  await until(() => process.log.mode === 'direct');
  t.equal(process.log.trouble(), undefined);
  await process.log.append([make('ann', 'last')]);
  t.strictSame([...new Set(valuesOf(world.log.records))], [...kept, 'last']);
  await process.log.close();
});

t.test(
  'a restart sends what is on the disk before anything new, with the times of its arrival',
  async (t) => {
    const world = new World(await folder(t), chanceOf(2));
    world.log.isAway = true;
    const first = await Process.start(world);
    for (let number = 0; number < 20; number++) await first.log.append([make('ann', `old ${number}`)]);
    await first.die();
    const second = await Process.start(world);
    t.equal(second.log.mode, 'spooling');
    t.match(second.log.depth(), { events: 20, oldestMs: 1_700_000_000_000 });
    await second.log.append([make('ann', 'new')]);
    t.strictSame(valuesOf(world.log.records), [], 'it is acknowledged while the log is away');
    world.log.isAway = false;
    await until(() => second.log.mode === 'direct');
    t.strictSame(
      [...new Set(valuesOf(world.log.records))],
      [...Array.from({ length: 20 }, (_, number) => `old ${number}`), 'new'],
    );
    t.strictSame({ ...world.log.records[0], value: 'old 0' }, make('ann', 'old 0'));
    t.strictSame(await readdir(world.dir), []);
    await second.log.close();
  },
);

t.test(
  'a record that the log refuses for its own sake becomes a dead letter, and holds nobody up',
  async (t) => {
    const world = new World(await folder(t), chanceOf(3));
    const process = await Process.start(world);
    world.log.refuses = (value) => value === 'bad';
    const batch = ['a', 'bad', 'b', 'c'].map((value) => make('ann', value));
    await process.log.append(batch);
    await process.log.append([make('ann', 'd')]);
    await until(() => process.log.mode === 'direct');
    t.strictSame([...new Set(valuesOf(world.log.records))], ['a', 'b', 'c', 'd']);
    t.equal(world.deadLetters, 1);
    const [letter = '{}'] = valuesOf(world.log.records, 'events_dead_letter_queue');
    t.match(JSON.parse(letter), {
      id: '018f0000-0000-7000-8000-000000000001',
      event_uuid: '018f0000-0000-7000-8000-000000000001',
      error: 'refused_by_log',
      error_location: 'capture',
      raw_payload: 'bad',
      distinct_id: 'ann',
      tags: ['spool', 'the log refuses a record'],
    });
    await process.log.close();
  },
);

t.test('where even its dead letter is refused, its file is put aside, and holds nobody up', async (t) => {
  const world = new World(await folder(t), chanceOf(5));
  const process = await Process.start(world);
  world.log.refuses = (value) => value.includes('bad');
  await process.log.append(['a', 'bad', 'b'].map((value) => make('ann', value)));
  await until(() => process.log.mode === 'direct');
  t.strictSame([...new Set(valuesOf(world.log.records))], ['a', 'b']);
  t.equal(world.deadLetters, 0);
  t.match(await readdir(world.dir), [/^0000000000000001\.spool\..*\.aside$/]);
  await process.log.close();
});

t.test('a file that cannot be read any more is put aside, and the others are sent', async (t) => {
  const world = new World(await folder(t), chanceOf(6));
  world.log.isAway = true;
  const first = await Process.start(world);
  for (let number = 0; number < 30; number++) await first.log.append([make('ann', `${number}`)]);
  await first.log.close();
  const [lost = ''] = (await readdir(world.dir)).toSorted();
  await rm(join(world.dir, lost));
  await mkdir(join(world.dir, lost));
  const second = await Process.start(world);
  world.log.isAway = false;
  await until(() => second.log.mode === 'direct');
  const values = [...new Set(valuesOf(world.log.records))].map(Number);
  t.ok(values.length > 10 && values.at(-1) === 29, `${values}`);
  t.match(await readdir(world.dir), [new RegExp(`^${lost}.*\\.aside$`)]);
  await second.log.close();
});

t.test('the door answers 200 from the spool and 503 past its bound; depth and age are told', async (t) => {
  const dir = await folder(t);
  const world = new World(dir, chanceOf(4));
  world.log.isAway = true;
  const recorded: number[] = [];
  const metrics = new Metrics();
  const spool = await openSpool({
    dir,
    bytesMax: 2_000,
    log: { append: (records, signal) => world.log.append(records, signal).then(() => []) },
    record: async (_, events) => void recorded.push(events),
    clock: systemClock,
    metrics,
    logger: quietLogger,
    limits: { ...SMALL, closeMs: 1_000 },
  });
  const { server, post } = await capture(t, { log: spool.log });
  const statuses: number[] = [];
  for (let number = 0; number < 10; number++) {
    const reply = await post('/e', event({ properties: { token: TOKEN, number } }));
    statuses.push(reply.status);
    if (reply.status !== 503) continue;
    t.match(reply.text, /the log is away and the spool is full: send the events again later/);
    t.equal(reply.headers.get('retry-after'), '5');
  }
  const taken = statuses.filter((status) => status === 200).length;
  t.ok(taken >= 2 && taken < 10, `${statuses}`);
  t.strictSame(server.door().refused, { log_unavailable: 10 - taken });
  await until(() => recorded.includes(taken));
  const text = await metrics.text();
  t.match(text, `tributary_spool_events ${taken}\n`);
  t.match(text, /tributary_spool_bytes [1-9]/);
  t.match(text, /tributary_spool_oldest_seconds [1-9]/);
  world.log.isAway = false;
  await until(() => spool.log.mode === 'direct');
  t.equal((await post('/e', event())).status, 200);
  await spool.close();
  t.equal(recorded.at(-1), 0);
});
