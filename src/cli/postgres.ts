/** How a command reaches Postgres: the server that the settings name, or the embedded one, running or not. */
import type { Config } from '../config.ts';
import { silentLogger } from '../logger.ts';
import { openPostgres, type Postgres } from '../storage/postgres/pool.ts';
import { startPostgres } from '../stores.ts';
import { UsageError } from './command.ts';
import { withSystem } from './connect.ts';

export function withPostgres<T>(config: Config, run: (postgres: Postgres) => Promise<T>): Promise<T> {
  const onServer = async (url: string) => {
    const postgres = openPostgres({ url, logger: silentLogger });
    return run(postgres).finally(() => postgres.close());
  };
  if (config.databaseUrl !== undefined) return onServer(config.databaseUrl);
  return withSystem(config, {
    whenRunning({ postgresUrl }) {
      if (postgresUrl !== undefined) return onServer(postgresUrl);
      throw new UsageError('the running system has another Postgres: set DATABASE_URL as it has it');
    },
    needs: 'postgres',
    alone: async (parts) => run((await startPostgres(config, parts, silentLogger)).postgres),
  });
}
