/** Writes down what ended at the door, so that a restart does not forget it. */
import type { Books } from './books.ts';
import { type Clock, within } from './clock.ts';
import { LIMITS } from './limits.ts';
import type { Logger } from './logger.ts';
import type { DoorCount } from './storage/postgres/books.ts';

type DoorCounts = Books['door'];

export interface DoorRecorder {
  /** Writes what is left, and logs what was not written within `LIMITS.console.doorCloseMs`. */
  close(): Promise<void>;
}

/**
 * Every second, when something has been counted. `counts`: since the process began, only ever growing. `record` adds
 * to what is written down; while it fails, the difference grows.
 */
export function recordDoorCounts(options: {
  readonly counts: () => DoorCounts;
  readonly record: (added: readonly DoorCount[]) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}): DoorRecorder {
  const { counts, record, clock, logger } = options;
  let recorded: DoorCounts = { refused: {}, dead_lettered: {}, discarded: {} };
  let writing: Promise<void> = Promise.resolve();
  let isClosed = false;
  let cancel = next();

  function next(): () => void {
    return clock.after(LIMITS.console.doorEveryMs, () => {
      writing = write().finally(() => {
        if (!isClosed) cancel = next();
      });
    });
  }

  const unwritten = (): DoorCount[] => difference(counts(), recorded);

  async function write(): Promise<void> {
    const now = counts();
    const added = difference(now, recorded);
    if (added.length === 0) return;
    try {
      await record(added);
      recorded = now;
    } catch (error) {
      logger.warn({ error: String(error) }, 'the counts of the door could not be written');
    }
  }

  return {
    async close() {
      isClosed = true;
      cancel();
      await within(clock, LIMITS.console.doorCloseMs, writing.then(write));
      const lost = unwritten();
      if (lost.length > 0) logger.error({ lost }, 'the last counts of the door were not written');
    },
  };
}

const KINDS = ['refused', 'dead_lettered', 'discarded'] as const;

function difference(now: DoorCounts, before: DoorCounts): DoorCount[] {
  return KINDS.flatMap((kind) =>
    Object.entries(now[kind]).map(([reason, count]) => ({
      kind,
      reason,
      count: count - (before[kind][reason] ?? 0),
    })),
  ).filter(({ count }) => count > 0);
}
