/** The role loader: moves rows from the log into ClickHouse. */
import type { Environment } from '../environment.ts';
import { type Loader, startLoader } from '../loader/loader.ts';
import type { Parts } from '../parts.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import { recordRefusedRow } from '../storage/postgres/books.ts';
import type { Stores } from './stores.ts';

export function startLoaderRole(
  parts: Parts,
  { clock, metrics, logger }: Environment,
  { log: { log }, postgres: { postgres } }: Stores,
  clickhouse: ClickHouse,
): Promise<Loader> {
  return parts.start(
    'loader',
    () =>
      startLoader({
        log,
        clickhouse,
        clock,
        metrics,
        logger,
        async onRowRefused({ topic, source, reason }) {
          // Only an event's row is a fate of its record.
          if (topic !== 'clickhouse_events_json' || source === undefined) return;
          await recordRefusedRow(postgres, log.identity(), source, reason);
        },
      }),
    (started) => started.close(),
  );
}
