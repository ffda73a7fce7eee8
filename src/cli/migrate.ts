/** `npm run migrate`: Postgres and ClickHouse to the current version. */
import type { Config } from '../config.ts';
import { silentLogger } from '../logger.ts';
import { Parts } from '../parts.ts';
import { migrateClickHouse, readClickHouseMigrations } from '../storage/clickhouse/migrate.ts';
import type { ClickHouse } from '../storage/clickhouse-port.ts';
import { migratePostgres, pendingMigrations } from '../storage/postgres/migrate.ts';
import { startClickHouse, startPostgres } from '../stores.ts';
import { parseRows } from './client.ts';
import { runCommand, UsageError } from './command.ts';
import { withSystem } from './connect.ts';
import type { Row } from './terminal.ts';

const HELP = `Usage: npm run migrate [-- --dry-run]

Brings Postgres and ClickHouse to the current version. Tables that are there are never
altered; one that does not fit is an error. A start does the same by itself.

  --dry-run   only shows what would be done
  --json      prints JSON lines on a terminal, too
`;

await runCommand({
  help: HELP,
  options: { 'dry-run': { type: 'boolean' } },
  async run({ values, positionals, config, output }) {
    if (positionals.length > 0) throw new UsageError('migrate takes no arguments; --help shows more');
    const dryRun = values['dry-run'] === true;
    const isEmbedded = config.databaseUrl === undefined || config.clickHouseUrl === undefined;
    const rows = isEmbedded
      ? await withSystem<readonly Row[]>(config, {
          // It did so when it started.
          whenRunning: async () => [],
          needs: dryRun ? 'postgres' : undefined,
          alone: (parts) => migrate(config, parts, dryRun),
        })
      : await onServers(config, dryRun);
    output.rows(rows, 'everything is current');
  },
});

async function onServers(config: Config, dryRun: boolean): Promise<readonly Row[]> {
  const parts = new Parts(silentLogger);
  return migrate(config, parts, dryRun).finally(() => parts.stop());
}

async function migrate(config: Config, parts: Parts, dryRun: boolean): Promise<readonly Row[]> {
  const { postgres } = await startPostgres(config, parts, silentLogger);
  const clickhouse = await startClickHouse(config, parts);
  const status = dryRun ? 'pending' : 'done';
  const rows = [
    ...(await pendingMigrations(postgres)).map((migration) => ({ store: 'Postgres', migration, status })),
    ...(await absentTables(clickhouse)).map((migration) => ({ store: 'ClickHouse', migration, status })),
  ];
  if (!dryRun) {
    await migratePostgres(postgres, silentLogger);
    await migrateClickHouse(clickhouse, silentLogger);
  }
  return rows;
}

/** ClickHouse's migrations make tables and views where they are absent: the ones whose are not there. */
async function absentTables(clickhouse: ClickHouse): Promise<readonly string[]> {
  const text = await clickhouse.query('SELECT name FROM system.tables WHERE database = currentDatabase()');
  const present = new Set(parseRows(text).map(({ name }) => name));
  const migrations = await readClickHouseMigrations();
  return migrations
    .filter(({ sql }) => {
      const [, made] = /CREATE (?:TABLE|(?:MATERIALIZED )?VIEW) IF NOT EXISTS `?(\w+)/i.exec(sql) ?? [];
      return made !== undefined && !present.has(made);
    })
    .map(({ name }) => name);
}
