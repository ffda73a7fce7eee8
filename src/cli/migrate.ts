/** `npm run migrate`: Postgres and ClickHouse to the current version. */
import type { Config } from '../config.ts';
import { realEnvironment } from '../environment.ts';
import { silentLogger } from '../logger.ts';
import type { Parts } from '../parts.ts';
import { kafkaEngineStatements } from '../storage/clickhouse/kafka-engine.ts';
import { migrateClickHouse, readClickHouseMigrations } from '../storage/clickhouse/migrate.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import { migratePostgres, pendingMigrations } from '../storage/postgres/migrate.ts';
import { setAsideProgress } from '../storage/postgres/partition-rows.ts';
import {
  engineOptions,
  opensClickHouse,
  startClickHouse,
  startLog,
  startPostgres,
  usesDataDir,
} from '../stores.ts';
import { parseRows } from './client.ts';
import { runCommand, UsageError } from './command.ts';
import { withParts, withSystem } from './connect.ts';
import type { Row } from './terminal.ts';

const HELP = `Usage: npm run migrate [-- --dry-run | --accept-new-log]

Brings Postgres and ClickHouse to the current version, and makes the topics where ClickHouse
reads them itself. Tables that are there are never altered; one that does not fit is an error.
A start does the same by itself.

  --dry-run          only shows what would be done
  --accept-new-log   the log was deleted and made again, and that was meant: what is known of
                     the old one is put aside, and the new one is read from its beginning
  --json             prints JSON lines on a terminal, too
`;

await runCommand({
  help: HELP,
  options: { 'dry-run': { type: 'boolean' }, 'accept-new-log': { type: 'boolean' } },
  async run({ values, positionals, config, output }) {
    if (positionals.length > 0) throw new UsageError('migrate takes no arguments; --help shows more');
    const dryRun = values['dry-run'] === true;
    const acceptNewLog = values['accept-new-log'] === true;
    if (dryRun && acceptNewLog) throw new UsageError('choose one of --dry-run and --accept-new-log');
    const rows = usesDataDir(config)
      ? await withSystem<readonly Row[]>(config, {
          // It did so when it started.
          whenRunning: async () => {
            if (acceptNewLog) throw new UsageError('stop the running system first (Ctrl-C in its terminal)');
            return [];
          },
          needs: dryRun || acceptNewLog ? 'postgres' : undefined,
          alone: (parts) => migrate(config, parts, { dryRun, acceptNewLog }),
        })
      : await withParts((parts) => migrate(config, parts, { dryRun, acceptNewLog }));
    output.rows(rows, 'everything is current');
  },
});

interface Wishes {
  readonly dryRun: boolean;
  readonly acceptNewLog: boolean;
}

async function migrate(
  config: Config,
  parts: Parts,
  { dryRun, acceptNewLog }: Wishes,
): Promise<readonly Row[]> {
  const { postgres } = await startPostgres(config, parts, silentLogger);
  const clickhouse = opensClickHouse(config) ? await startClickHouse(config, parts) : undefined;
  const engine = engineOptions(config);
  const status = dryRun ? 'pending' : 'done';
  const tables = clickhouse === undefined ? [] : await absentTables(clickhouse, engine);
  const rows = [
    ...(await pendingMigrations(postgres)).map((migration) => ({ store: 'Postgres', migration, status })),
    ...tables.map((migration) => ({ store: 'ClickHouse', migration, status })),
  ];
  if (!dryRun) {
    await migratePostgres(postgres, silentLogger);
    // It makes the topics that are not there, which ClickHouse's Kafka tables then read.
    if (engine !== undefined) await startLog(config, parts, realEnvironment(silentLogger));
    if (clickhouse !== undefined) await migrateClickHouse(clickhouse, silentLogger, engine);
  }
  if (acceptNewLog) {
    const partitions = await setAsideProgress(postgres);
    rows.push({ store: 'Postgres', migration: `progress of ${partitions} partitions put aside`, status });
  }
  return rows;
}

/** ClickHouse's migrations make tables and views where they are absent: the ones whose are not there. */
async function absentTables(
  clickhouse: ClickHouse,
  engine: ReturnType<typeof engineOptions>,
): Promise<readonly string[]> {
  const text = await clickhouse.query('SELECT name FROM system.tables WHERE database = currentDatabase()');
  const present = new Set(parseRows(text).map(({ name }) => name));
  const migrations = [
    ...(await readClickHouseMigrations()),
    ...(engine === undefined ? [] : kafkaEngineStatements(engine)),
  ];
  return migrations
    .filter(({ sql }) => {
      const [, made] = /CREATE (?:TABLE|(?:MATERIALIZED )?VIEW) IF NOT EXISTS `?(\w+)/i.exec(sql) ?? [];
      return made !== undefined && !present.has(made);
    })
    .map(({ name }) => name);
}
