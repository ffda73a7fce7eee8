/** What the core takes from outside instead of reaching for it: time, ids, and where to report. */
import type { HoldNotice } from './actors/hold-report.ts';
import { type Clock, systemClock } from './clock.ts';
import type { DerivePersonUuid, EventUuid } from './event/ids.ts';
import { derivePersonUuid, deriveRecordUuid, newEventUuid } from './ids.ts';
import type { Logger } from './logger.ts';
import { Metrics } from './metrics.ts';

export interface Environment {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** For an event that came without one. */
  readonly newUuid: () => EventUuid;
  readonly derivePersonUuid: DerivePersonUuid;
  /** One id for one record of a log, whenever it is asked for. */
  readonly deriveRecordUuid: (topic: string, partition: number, offset: number) => string;
  /** Told, once in a while, that events are held. */
  readonly onHeld?: (notice: HoldNotice) => void;
}

/** The machine's own. */
export function realEnvironment(logger: Logger): Environment {
  return {
    clock: systemClock,
    logger,
    metrics: new Metrics().withProcessMetrics(),
    newUuid: newEventUuid,
    derivePersonUuid,
    deriveRecordUuid,
  };
}
