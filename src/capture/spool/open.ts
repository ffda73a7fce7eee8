/** Opens the spool of this process: its folder, what an earlier process left there, and the log behind it. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';
import type { Metrics } from '../../metrics.ts';
import type { EventLog } from '../../storage/event-log.ts';
import { spoolFiles } from './files.ts';
import { reportSpool } from './report.ts';
import { Spool } from './spool.ts';
import { spoolMetrics } from './spool-metrics.ts';
import { type SpoolingLimits, SpoolingLog } from './spooling-log.ts';

export interface OpenSpoolOptions {
  /** This process's alone. */
  readonly dir: string;
  readonly bytesMax: number;
  readonly log: Pick<EventLog, 'append'>;
  /** Writes down how many events are in the spool of this id. */
  readonly record: (spoolId: string, events: number) => Promise<void>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Other limits than `LIMITS.spool`, for tests. */
  readonly limits?: Partial<SpoolingLimits>;
}

export interface OpenSpool {
  readonly log: SpoolingLog;
  /** Events that became dead letters here since the start, by reason. */
  deadLettered(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export async function openSpool(options: OpenSpoolOptions): Promise<OpenSpool> {
  const { dir, bytesMax, record, clock, logger } = options;
  const limits = { ...LIMITS.spool, ...options.limits };
  const metrics = spoolMetrics(options.metrics);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const id = await idOf(dir);
  const spool = await Spool.open({ files: spoolFiles(dir), limits: { ...limits, bytesMax }, logger });
  const { events } = spool.depth();
  if (events > 0)
    logger.info({ dir, events }, 'the spool has events of an earlier process: they go to the log first');
  let deadLetters = 0;
  const log = new SpoolingLog({
    ...options,
    spool,
    limits,
    onDeadLetter: () => {
      deadLetters++;
      metrics.deadLetters.inc({ reason: 'refused_by_log' });
    },
    onDamaged: (bytes) => metrics.damagedBytes.inc(bytes),
  });
  const reporter = reportSpool({
    events() {
      const depth = log.depth();
      metrics.show(depth, clock.now());
      return depth.events;
    },
    record: (count) => record(id, count),
    clock,
    logger,
    everyMs: limits.reportEveryMs,
    closeMs: limits.closeMs,
  });
  return {
    log,
    deadLettered: () => (deadLetters === 0 ? {} : { refused_by_log: deadLetters }),
    async close() {
      await log.close();
      await reporter.close();
    },
  };
}

/** The folder's own: a process that takes it over reports in the same place. */
async function idOf(dir: string): Promise<string> {
  const path = join(dir, 'id');
  const known = (await readFile(path, 'utf8').catch(() => '')).trim();
  if (known !== '') return known;
  const id = randomUUID();
  await writeFile(`${path}.new`, `${id}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return id;
}
