/** Looks for rows that were inserted again after a kill, before ClickHouse merges them away. */
import { sleep, systemClock } from '../../src/clock.ts';
import { countRows } from './proof.ts';
import type { System } from './system.ts';

const EVERY_MS = 200;

export class RepeatWatch {
  /** The most rows beyond one for each uuid that were there at once. */
  most = 0;
  readonly #system: System;
  #stopped = false;

  constructor(system: System) {
    this.#system = system;
  }

  /** Looks until `stop`. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      // Between a kill and the next start nobody answers.
      const counts = await countRows(this.#system).catch(() => undefined);
      if (counts !== undefined) this.most = Math.max(this.most, counts.stored - counts.uuids);
      await sleep(systemClock, EVERY_MS);
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}
