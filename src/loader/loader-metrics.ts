/** What the loader counts, for each table. */
import type { Metrics } from '../metrics.ts';

const TABLE = ['table'] as const;
const INSERT_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

export function loaderMetrics(metrics: Metrics) {
  return {
    rows: metrics.counter('tributary_loader_rows_total', 'Rows inserted into ClickHouse', TABLE),
    refused: metrics.counter('tributary_loader_refused_rows_total', 'Rows that ClickHouse refused', TABLE),
    retries: metrics.counter('tributary_loader_retries_total', 'Failures that were tried again', TABLE),
    waitingBytes: metrics.gauge('tributary_loader_waiting_bytes', 'Bytes of rows on their way in', TABLE),
    insertSeconds: metrics.histogram(
      'tributary_loader_insert_seconds',
      'Time from the start of a batch until its rows are in, retries included',
      INSERT_SECONDS,
      TABLE,
    ),
  };
}

export type LoaderMetrics = ReturnType<typeof loaderMetrics>;
