/**
 * What an event costs a worker that has seen a million persons, against one that has seen ten thousand: half of the
 * events are of somebody new, half of anybody seen before.
 */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Parts } from '../src/parts.ts';
import type { Aside, Benchmark, Contest, Cost } from './benchmark.ts';
import type { CrowdOrder, Visited, Visits } from './crowd-process.ts';
import { ask, startChild } from './measured-child.ts';
import { type Pause, watchPauses } from './pauses.ts';
import { startDatabase, startPostgres, tempDir } from './stores.ts';

const MANY = 1_000_000;
const FEW = 10_000;
const EVENTS = 4_000;
const ROUND: Visits = { fresh: EVENTS / 2, returning: EVENTS / 2 };

export const millionPersons: Benchmark = {
  name: 'million-persons',
  floor: `the same with ${FEW.toLocaleString('en')} persons seen`,
  unit: 'µs',
  eventsPerRound: EVENTS,
  rounds: 5,
  start: startContest,
};

async function startContest(parts: Parts): Promise<Contest> {
  const dir = await tempDir(parts);
  const { postgres } = await startPostgres(parts, dir);
  const startCrowd = async (name: string, persons: number) => {
    const { url } = await startDatabase(parts, postgres, name);
    const folder = join(dir, name);
    await mkdir(folder);
    const order: CrowdOrder = { dir: folder, databaseUrl: url };
    const child = await startChild(parts, 'crowd-process.ts', JSON.stringify(order));
    await once(child, 'message');
    const pauses = watchPauses();
    const begun = await ask<Visited>(child, { fresh: persons, returning: 0 } satisfies Visits);
    const idle = pauses();
    return () => round(child, begun, idle, persons);
  };
  const floor = await startCrowd('few', FEW);
  const ours = await startCrowd('many', MANY);
  return { ours, floor };
}

/** `begun`: when its persons came for the first time. `idle`: the longest pause of this process meanwhile. */
async function round(child: ChildProcess, begun: Visited, idle: Pause, persons: number): Promise<Cost> {
  const visited = await ask<Visited>(child, ROUND);
  const aside = (what: string, value: number, unit: string): Aside => ({ what, value, unit });
  return {
    total: visited.cpuUs,
    asides: [
      aside('all persons for the first time, each event', begun.cpuUs / persons, 'µs'),
      aside('all persons for the first time', (persons * 1_000) / begun.elapsedMs, 'events/s'),
      aside('longest pause meanwhile, by the clock', begun.pause.elapsedMs, 'ms'),
      aside('longest pause meanwhile, CPU time of it', begun.pause.cpuMs, 'ms'),
      aside('longest pause of an idle process meanwhile', idle.elapsedMs, 'ms'),
      aside('memory alive after them', begun.memoryMiB, 'MiB'),
    ],
  };
}
