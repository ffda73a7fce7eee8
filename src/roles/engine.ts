/** Where ClickHouse reads the topics itself: the rows that it refused get into the books. */
import type { Environment } from '../environment.ts';
import { type RefusedWatch, watchRefusedRows } from '../loader/refused-watch.ts';
import type { Parts } from '../parts.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import { recordRefusedRows } from '../storage/postgres/books.ts';
import type { Stores } from './stores.ts';

export function startRefusedWatch(
  parts: Parts,
  { clock, logger }: Environment,
  { log: { log }, postgres: { postgres } }: Stores,
  clickhouse: ClickHouse,
): Promise<RefusedWatch> {
  return parts.start(
    'watch of refused rows',
    async () =>
      watchRefusedRows({
        clickhouse,
        clock,
        logger,
        onRowsRefused: (sources) =>
          recordRefusedRows(postgres, log.identity(), sources, 'refused_by_clickhouse'),
      }),
    (started) => started.close(),
  );
}
