/** Writes down how many events are in the spool, so that every process can show it in the books. */
import { type Clock, within } from '../../clock.ts';
import type { Logger } from '../../logger.ts';

export interface SpoolReporter {
  close(): Promise<void>;
}

interface ReporterOptions {
  /** Events in the spool. Called every `everyMs`. */
  readonly events: () => number;
  readonly record: (events: number) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly everyMs: number;
  readonly closeMs: number;
}

/** When the number has changed, and once at the beginning: an earlier process may have left another one. */
export function reportSpool({
  events,
  record,
  clock,
  logger,
  everyMs,
  closeMs,
}: ReporterOptions): SpoolReporter {
  let recorded: number | undefined;
  let isClosed = false;
  let writing = write();
  let cancel = next();

  function next(): () => void {
    return clock.after(everyMs, () => {
      writing = write().finally(() => {
        if (!isClosed) cancel = next();
      });
    });
  }

  async function write(): Promise<void> {
    const now = events();
    if (now === recorded) return;
    try {
      await record(now);
      recorded = now;
    } catch (error) {
      logger.warn({ error: String(error) }, 'the depth of the spool could not be written');
    }
  }

  return {
    async close() {
      isClosed = true;
      cancel();
      await within(clock, closeMs, writing.then(write));
    },
  };
}
