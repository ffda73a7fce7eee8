/** Embedded logs for tests, in a folder of their own, and a clock that a test moves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Cancel, type Clock, systemClock } from '../../src/clock.ts';
import {
  type EmbeddedLog,
  type EmbeddedLogOptions,
  openEmbeddedLog,
} from '../../src/storage/embedded/log.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

export async function makeFolder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-log-'));
  t.teardown(() => rm(dir, { recursive: true }));
  return dir;
}

export async function openLog(
  t: Test,
  options: Partial<EmbeddedLogOptions> & { dir: string },
): Promise<EmbeddedLog> {
  const log = await openEmbeddedLog({ partitions: 2, clock: systemClock, logger: quietLogger, ...options });
  t.teardown(() => log.close());
  return log;
}

export class ManualClock implements Clock {
  #now = 1_700_000_000_000;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs what falls due. */
  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter((timer) => timer.at <= this.#now);
    this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
    for (const timer of due) timer.run();
  }
}
