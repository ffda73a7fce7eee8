/** `npm run sql`: one read-only statement to ClickHouse, or to Postgres. */
import type { Config } from '../config.ts';
import type { Database } from '../console/server.ts';
import { silentLogger } from '../logger.ts';
import type { Parts } from '../parts.ts';
import { readOnlyQuery } from '../storage/postgres/query.ts';
import { startClickHouse, startPostgres } from '../stores.ts';
import { ConsoleClient, parseRows } from './client.ts';
import { runCommand, UsageError } from './command.ts';
import { withParts, withSystem } from './connect.ts';
import { jsonLines, type Row } from './terminal.ts';

const HELP = `Usage: npm run sql -- "SELECT …" [--postgres] [--json]
       echo "SELECT …" | npm run -s sql

Asks ClickHouse one read-only statement: the server that the settings name, else the
running system, or the data folder when nothing runs. Times are UTC.

  --postgres   asks Postgres instead
  --json       prints JSON lines on a terminal, too
`;

await runCommand({
  help: HELP,
  options: { postgres: { type: 'boolean' } },
  async run({ values, positionals, config, output }) {
    const sql = await statement(positionals);
    const text = await ask(config, values.postgres ? 'postgres' : 'clickhouse', sql);
    const rows = tryParse(quoteLongIntegers(text));
    // The database's own text keeps every digit; and the statement may have asked for another format.
    if (rows === undefined || output.json)
      process.stdout.write(text === '' || text.endsWith('\n') ? text : `${text}\n`);
    else output.rows(rows, 'no rows');
  },
});

async function statement(positionals: readonly string[]): Promise<string> {
  if (positionals.length > 1) {
    throw new UsageError('give one statement, in quotes: npm run sql -- "SELECT count() FROM events"');
  }
  const [given] = positionals;
  if (given === undefined && process.stdin.isTTY) {
    throw new UsageError('there is no statement: npm run sql -- "SELECT count() FROM events"');
  }
  const sql = given ?? (await readAll(process.stdin));
  if (sql.trim() === '') throw new UsageError('the statement is empty');
  return sql;
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function ask(config: Config, database: Database, sql: string): Promise<string> {
  const isRemote = (database === 'postgres' ? config.databaseUrl : config.clickHouseUrl) !== undefined;
  const directly = async (parts: Parts): Promise<string> => {
    if (database === 'clickhouse') return (await startClickHouse(config, parts)).query(sql);
    const { postgres } = await startPostgres(config, parts, silentLogger);
    return jsonLines(await readOnlyQuery(postgres, sql));
  };
  if (isRemote) return withParts(directly);
  return withSystem(config, {
    whenRunning: (system) => new ConsoleClient(system, config).queryText(database, sql),
    needs: database === 'postgres' ? 'postgres' : 'clickHouse',
    alone: directly,
  });
}

/** JSON.parse would round integers of more than 15 digits: they are shown as text. */
function quoteLongIntegers(text: string): string {
  return text.replace(/(":)(-?\d{16,})(?=[,}])/g, '$1"$2"');
}

function tryParse(text: string): readonly Row[] | undefined {
  try {
    const rows = parseRows(text);
    return rows.every((row) => typeof row === 'object' && row !== null && !Array.isArray(row))
      ? rows
      : undefined;
  } catch {
    return undefined;
  }
}
