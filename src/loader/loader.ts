/** Moves rows from the ClickHouse topics of the log into ClickHouse's tables, each at least once. */
import type { Clock } from '../clock.ts';
import { LIMITS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import type { EventLog, Subscription, TopicPartition } from '../storage/event-log.ts';
import { CLICKHOUSE_TOPICS } from '../storage/topics.ts';
import { Lane, type RefusedRow } from './lane.ts';
import { loaderMetrics } from './loader-metrics.ts';

export type { RefusedRow } from './lane.ts';

export const LOADER_GROUP = 'loader';

export interface LoaderOptions {
  readonly log: EventLog;
  /** Migrated. */
  readonly clickhouse: ClickHouse;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Awaited, and repeated until it resolves, before the row's offset is committed; may be told of a row twice. */
  readonly onRowRefused: (refused: RefusedRow) => Promise<void>;
}

export interface LoaderState {
  readonly ok: boolean;
  readonly detail?: string;
}

export interface Loader {
  /** Not ok: it has stopped, or ClickHouse has, and only a restart can mend it. */
  health(): LoaderState;
  /** Not ok: rows do not go in at the moment; it tries again by itself and loses nothing. */
  ready(): LoaderState;
  /** Resolves after the inserts in progress. */
  close(): Promise<void>;
}

export async function startLoader(options: LoaderOptions): Promise<Loader> {
  const { log, logger } = options;
  const metrics = loaderMetrics(options.metrics);
  let fault: string | undefined;
  const onFault = (error: unknown): void => {
    fault ??= error instanceof Error ? error.message : String(error);
    logger.error({ error: fault }, 'the loader has stopped');
  };

  // Records may arrive before `subscribe` has resolved.
  const { promise: subscription, resolve: subscribed } = deferred<Subscription>();
  const lanes = new Map<string, Lane>();
  for (const topic of CLICKHOUSE_TOPICS) {
    lanes.set(topic, new Lane({ ...options, topic, metrics, subscription, onFault }));
  }
  const laneOf = ({ topic }: TopicPartition): Lane | undefined => lanes.get(topic);

  const subscribedTo = await log.subscribe({
    group: LOADER_GROUP,
    topics: CLICKHOUSE_TOPICS,
    recordsMax: LIMITS.loader.pollRecordsMax,
    onAssign: async () => 'committed',
    onRevoke: (assignment) => laneOf(assignment)?.revoke(assignment),
    onRecords: (assignment, records) => laneOf(assignment)?.push(assignment, records),
    onError: onFault,
  });
  subscribed(subscribedTo);

  return {
    health: () => stateOf(fault ?? [...lanes.values()].map((lane) => lane.needsRestart).find(Boolean)),
    ready: () => stateOf(fault ?? [...lanes.values()].map((lane) => lane.trouble).find(Boolean)),
    async close() {
      await Promise.all([...lanes.values()].map((lane) => lane.close()));
      await subscribedTo.close();
    },
  };
}

const stateOf = (detail: string | undefined): LoaderState =>
  detail === undefined ? { ok: true } : { ok: false, detail };

function deferred<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
