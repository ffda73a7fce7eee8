/** The way onto the log, and what its failures mean to a client. */
import type { Logger } from '../logger.ts';
import { type AppendRecord, LogFullError } from '../storage/event-log.ts';
import { Refusal } from './refusal.ts';
import { SpoolFailedError, SpoolFullError } from './spool/spool.ts';

/** The log, or the log with a spool before it. */
export interface Appender {
  /** Resolves once every record is durable. */
  append(records: readonly AppendRecord[]): Promise<unknown>;
}

/** Resolves with nothing once every record is durable; with the reason to try again otherwise. */
export async function append(
  log: Appender,
  records: readonly AppendRecord[],
  logger: Logger,
): Promise<Refusal | undefined> {
  try {
    await log.append(records);
    return undefined;
  } catch (error) {
    if (error instanceof LogFullError) {
      return new Refusal('log_full', 'the log is full, nothing was stored: send it again later');
    }
    if (error instanceof SpoolFullError || error instanceof SpoolFailedError) {
      const fault = error instanceof SpoolFullError ? 'the spool is full' : 'the spool cannot be written';
      return new Refusal('log_unavailable', `the log is away and ${fault}: send the events again later`);
    }
    // The log says itself, once, that it cannot be written; every request would say it again.
    logger.debug(
      { error: String(error), records: records.length },
      'events could not be appended to the log',
    );
    return new Refusal('log_unavailable', 'the log did not confirm the events: send them again later');
  }
}
