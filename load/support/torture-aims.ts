/** When to kill, so that a certain gap is hit: seen from outside. Whether it was is for the remains to say. */
import { watch } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '../../src/clock.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { STORE_FOLDERS } from '../../src/stores.ts';
import type { Random } from './random.ts';
import type { TortureClient } from './torture-client.ts';
import { type Gap, HELD_MIN } from './torture-gaps.ts';
import type { PostgresProxy } from './torture-proxy.ts';
import { EVENTS_FOLDER } from './torture-remains.ts';

export interface Sights {
  readonly dataDir: string;
  readonly random: Random;
  readonly clients: readonly TortureClient[];
  readonly proxy: PostgresProxy;
  /** Not through the proxy. */
  readonly postgres: Postgres;
  /** Resolves when a client sends its next request. */
  readonly nextRequest: () => Promise<void>;
}

const LOG_FILE = 'data.mdb';
const LOG_WRITES_MAX = 6;
const SAVE_STATEMENTS = ['INSERT INTO tributary_folded', 'INSERT INTO tributary_witness', 'COMMIT'];
const HELD = 'SELECT coalesce(sum(held), 0)::int AS held FROM tributary_partition';
const POLL_MS = 100;

/** Resolves at the moment to kill. What it waits for may never come, and `signal` ends it then. */
export async function takeAim(gap: Gap, sights: Sights, signal: AbortSignal): Promise<void> {
  const { dataDir, random, clients, proxy, postgres, nextRequest } = sights;
  const upTo = (delayMs: number): Promise<void> => sleep(systemClock, random.next() * delayMs);
  const statement = SAVE_STATEMENTS[random.integer(SAVE_STATEMENTS.length)] ?? 'COMMIT';
  switch (gap) {
    case 'before append':
      await nextRequest();
      return upTo(3);
    case 'append to answer': {
      // Of the writes of a transaction, the last one makes it durable: nobody sees which one that is.
      let writes = random.integer(LOG_WRITES_MAX);
      const isAsked = () => clients.some(({ attempt }) => attempt?.outcome === 'pending') && writes-- === 0;
      return changed(join(dataDir, STORE_FOLDERS.log, LOG_FILE), isAsked, signal);
    }
    case 'inside a save':
      return proxy.caught({ kind: 'sends', statement, merging: false });
    case 'inside a merge':
      return proxy.caught({ kind: 'sends', statement, merging: true });
    case 'commit to produce':
      if (random.integer(2) === 0) return proxy.caught({ kind: 'answered', of: 'save' });
      await proxy.caught({ kind: 'passed_on', of: 'save' });
      return upTo(4);
    case 'produce to progress':
      // Just saved, progress must not be ahead of what was produced.
      return random.integer(2) === 0 ? upTo(1_000) : proxy.caught({ kind: 'answered', of: 'progress' });
    case 'inside an insert': {
      // A part gets its name when it is whole.
      const isBegun = random.integer(2) === 0;
      const path = join(dataDir, STORE_FOLDERS.clickHouse, EVENTS_FOLDER);
      return changed(path, (name) => name.startsWith('tmp_insert') === isBegun, signal);
    }
    case 'full hold':
      while (!signal.aborted) {
        const { rows } = await postgres.query<{ held: number }>(HELD);
        if (Number(rows[0]?.held) >= HELD_MIN) return;
        await sleep(systemClock, POLL_MS);
      }
  }
}

/** Resolves with the next change of the file, or of a name in the folder, that `is` one to wait for. */
function changed(path: string, is: (name: string) => boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const watcher = watch(path, { signal }, (_event, name) => {
      if (!is(name ?? '')) return;
      watcher.close();
      resolve();
    });
    watcher.once('error', reject);
  });
}
