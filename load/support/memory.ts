/** What a process takes of memory once its garbage is collected. */
import { readFile } from 'node:fs/promises';
import { sleep, systemClock } from '../../src/clock.ts';

/** In MiB. */
export interface Memory {
  /** Resident: what the machine gives to the process. */
  readonly rss: number;
  /** The part of `rss` that is its own; the rest shows files, which the machine may drop: Linux only. */
  readonly own: number | undefined;
  /** Of `rss`: pages of the log's file, which is mapped. Linux only. */
  readonly log: number | undefined;
  readonly heapUsed: number;
  readonly heapTotal: number;
  readonly external: number;
  readonly arrayBuffers: number;
}

const COLLECT_TIMEOUT_MS = 60_000;
const GIVE_BACK_MS = 5_000;
const POLL_MS = 20;
const MIB = 1024 * 1024;

/**
 * Asks a process that has preloaded `collect-on-signal.ts` with this `file`: collects, waits until the allocators of
 * V8 and ClickHouse have given back what became free, collects again.
 */
export async function readMemory(pid: number, file: string): Promise<Memory> {
  await collect(pid, file);
  await sleep(systemClock, GIVE_BACK_MS);
  return collect(pid, file);
}

async function collect(pid: number, file: string): Promise<Memory> {
  const before = (await linesOf(file)).length;
  process.kill(pid, 'SIGUSR2');
  const deadline = systemClock.monotonic() + COLLECT_TIMEOUT_MS;
  for (;;) {
    const line = (await linesOf(file))[before];
    if (line !== undefined) return { ...toMemory(JSON.parse(line)), ...(await readPages(pid)) };
    if (systemClock.monotonic() > deadline) throw new Error(`process ${pid} did not collect its garbage`);
    await sleep(systemClock, POLL_MS);
  }
}

async function linesOf(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').slice(0, -1);
}

/** Resident pages, by what they show. */
async function readPages(pid: number): Promise<Pick<Memory, 'own' | 'log'>> {
  const maps = await readFile(`/proc/${pid}/smaps`, 'utf8').catch(() => undefined);
  if (maps === undefined) return { own: undefined, log: undefined };
  // A mapping: its address and file on one line, then lines such as `Rss:  8 kB`.
  const sections = maps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const sum = (field: string, some: readonly string[]): number => {
    const kib = some.map((section) =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(section)?.[1] ?? 0),
    );
    return Math.round(kib.reduce((total, one) => total + one, 0) / 1024);
  };
  const isLog = (section: string): boolean => section.split('\n', 1)[0]?.endsWith('/data.mdb') ?? false;
  return { own: sum('Anonymous', sections), log: sum('Rss', sections.filter(isLog)) };
}

function toMemory(usage: NodeJS.MemoryUsage): Omit<Memory, 'own' | 'log'> {
  const mib = (bytes: number): number => Math.round(bytes / MIB);
  return {
    rss: mib(usage.rss),
    heapUsed: mib(usage.heapUsed),
    heapTotal: mib(usage.heapTotal),
    external: mib(usage.external),
    arrayBuffers: mib(usage.arrayBuffers),
  };
}
