/** Rows that ClickHouse refused while it read the topics itself: its dead letters are looked for, and counted. */
import { type Cancel, type Clock, within } from '../clock.ts';
import { LIMITS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import { ENGINE_STAGE } from '../storage/clickhouse/kafka-engine.ts';
import { withoutRows } from '../storage/clickhouse/refusals.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';
import type { LoaderState } from './loader.ts';

export interface RefusedWatchOptions {
  readonly clickhouse: Pick<ClickHouse, 'query'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Gets `<partition>:<offset>` of the ingestion records whose event rows were refused (at most
   * `LIMITS.kafkaEngine.refusedRowsMax` at once). Is told of a row more than once.
   */
  readonly onRowsRefused: (sources: readonly string[]) => Promise<void>;
}

export interface RefusedWatch {
  /** Not ok: ClickHouse's engine reports an error, or ClickHouse or the books cannot be asked. Never needs a restart. */
  ready(): LoaderState;
  /** Cancels the look in progress; resolves after it, and after `LIMITS.kafkaEngine.closeMs` at the latest. */
  close(): Promise<void>;
}

interface Letter {
  readonly id: string;
  readonly at: string;
  readonly origin: string;
}

/**
 * For every process with the role `worker` whose rows go into ClickHouse by Kafka engine tables and that knows
 * `CLICKHOUSE_URL`: `onRowsRefused` is `recordRefusedRows` of the books, with the log's identity and the reason
 * `refused_by_clickhouse`. Looks back a day at its start, so that nothing is missed while all processes were away.
 */
export function watchRefusedRows({
  clickhouse,
  clock,
  logger,
  onRowsRefused,
}: RefusedWatchOptions): RefusedWatch {
  const { lookEveryMs, lookBackFirstMs, lookBackMs, closeMs } = LIMITS.kafkaEngine;
  let since: string | undefined;
  let trouble: string | undefined;
  const stop = new AbortController();
  let cancel: Cancel = () => {};

  const rowsOf = async <Row>(sql: string): Promise<readonly Row[]> =>
    (await clickhouse.query(sql, stop.signal))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Row);

  const look = async (): Promise<void> => {
    // ClickHouse's clock gave the letters their times.
    const [start] = await rowsOf<{ first: string; next: string }>(
      `SELECT ${ago(lookBackFirstMs)} AS first, ${ago(lookBackMs)} AS next`,
    );
    let after = { at: since ?? start?.first ?? '', id: NIL };
    for (;;) {
      const letters = await rowsOf<Letter>(lettersAfter(after));
      const last = letters.at(-1);
      if (last === undefined || stop.signal.aborted) break;
      await onRowsRefused(letters.map(({ origin }) => origin.slice(INGESTION_TOPIC.length + 1)));
      after = last;
    }
    since = start?.next;
    const [fault] = await rowsOf<{ text: string }>(FAULT);
    trouble = fault && withoutRows(fault.text);
  };

  const run = async (): Promise<void> => {
    const before = trouble;
    try {
      await look();
    } catch (error) {
      if (stop.signal.aborted) return;
      trouble = error instanceof Error ? error.message : String(error);
    }
    if (trouble !== undefined && before === undefined) {
      logger.warn({ trouble }, 'rows may not get into ClickHouse at the moment');
    }
    if (!stop.signal.aborted) {
      cancel = clock.after(lookEveryMs, () => {
        looking = run();
      });
    }
  };
  let looking = run();

  return {
    ready: () => (trouble === undefined ? { ok: true } : { ok: false, detail: trouble }),
    async close() {
      cancel();
      stop.abort();
      await within(clock, closeMs, looking);
    },
  };
}

const NIL = '00000000-0000-0000-0000-000000000000';

const ago = (ms: number): string => `toString(now64(6, 'UTC') - INTERVAL ${Math.floor(ms / 1000)} SECOND)`;

const lettersAfter = ({ at, id }: Pick<Letter, 'at' | 'id'>): string => `
SELECT id, toString(error_timestamp) AS at, tags[3] AS origin
FROM events_dead_letter_queue
WHERE error = 'refused_by_clickhouse' AND error_location = '${ENGINE_STAGE}'
  AND startsWith(tags[1], 'clickhouse_events_json:') AND startsWith(origin, '${INGESTION_TOPIC}:')
  AND (error_timestamp, id) > (toDateTime64('${at}', 6, 'UTC'), toUUID('${id}'))
ORDER BY error_timestamp, id
LIMIT ${LIMITS.kafkaEngine.refusedRowsMax}`;

/** A table with several errors in the last minute and since its newest commit: a single one mends itself. */
const FAULT = `
SELECT concat(table, ': ', splitByChar('\\n', exceptions.text[-1])[1]) AS text
FROM system.kafka_consumers
WHERE database = currentDatabase()
  AND arrayCount(time -> time > greatest(last_commit_time, now() - 60), exceptions.time) > 1
LIMIT 1`;
