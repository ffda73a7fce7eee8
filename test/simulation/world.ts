/** What processes share: the log, the store, ClickHouse and the time. */

import { asPersonUuid, asTeamId, asToken, type DerivePersonUuid } from '../../src/event/ids.ts';
import { UNRESTRICTED } from '../../src/event/restriction.ts';
import type { Metrics } from '../../src/metrics.ts';
import type { LogRecord } from '../../src/storage/event-log.ts';
import type { PersonWork, Saved } from '../../src/storage/person-store.ts';
import type { TeamStore } from '../../src/storage/team-store.ts';
import type { Process } from './process.ts';
import type { Random } from './random.ts';
import { SimClickHouse } from './sim-clickhouse.ts';
import { SimClock } from './sim-clock.ts';
import { SimLog } from './sim-log.ts';
import { SimStore } from './sim-store.ts';
import type { TailWeather } from './sim-tail.ts';
import type { Weather } from './sim-wire.ts';

const A = 65;

export const EPOCH_MS = Date.UTC(2026, 0, 1);
export const TEAM = asTeamId(1);
export const TOKEN = asToken('phc_simulated');

/** Of the person that is made for a distinct id. Readable, so that a failure is. */
export const uuidFor = (distinctId: string): string => `of-${encodeURIComponent(distinctId)}`;
export const derivePersonUuid: DerivePersonUuid = (_teamId, distinctId) => asPersonUuid(uuidFor(distinctId));

const team = {
  id: TEAM,
  token: TOKEN,
  name: 'simulated',
  anonymizeIps: false,
  personProcessingOptOut: false,
  restrictions: UNRESTRICTED,
};
const cached: TeamStore['cached'] = (token) => (token === TOKEN ? team : undefined);
export const teams: TeamStore = { cached, byToken: async (token) => (token === TOKEN ? team : undefined) };

export interface WorldOptions {
  readonly partitions: number;
  readonly mergeIdsMax: number;
  readonly random: Random;
  readonly weather: Weather;
  readonly tail: TailWeather;
  /** Postgres can lose transactions that it has committed. */
  readonly canLose: boolean;
  readonly metrics: Metrics;
}

export class World {
  readonly clock = new SimClock(EPOCH_MS);
  readonly log: SimLog;
  readonly store: SimStore;
  readonly clickhouse = new SimClickHouse();
  readonly options: WorldOptions;
  /** What happened, line by line. */
  readonly trace: { readonly atMs: number; readonly line: string }[] = [];
  #processes = 0;
  /** What must never happen. */
  readonly faults: string[] = [];
  /** A process can die here. */
  onStep: (name: string, process: Process) => void = () => {};
  onDelivered: (process: Process, records: readonly LogRecord[]) => void = () => {};
  onRolledBack: (how: 'serialization failure' | 'deadlock') => void = () => {};
  /** A save of this process reaches the store: `save` lets it happen. */
  onSave: (process: Process, works: readonly PersonWork[], save: () => readonly Saved[]) => readonly Saved[] =
    (_process, _works, save) => save();

  constructor(options: WorldOptions) {
    this.options = options;
    this.log = new SimLog({
      clock: this.clock,
      partitions: options.partitions,
      identity: 'simulated',
      // What is lost of the progress has to be read again.
      ...(options.canLose ? {} : { trimmedBy: 'worker' }),
    });
    this.store = new SimStore(() => this.clock.now(), options);
  }

  /** Of a process: A, B, … */
  nextName(): string {
    return String.fromCharCode(A + this.#processes++);
  }

  note(line: string): void {
    this.trace.push({ atMs: this.clock.monotonic(), line });
  }
}
