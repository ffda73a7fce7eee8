/** How ClickHouse is reached: in this process (chdb) or over HTTP. The same client speaks to both. */
import { mkdir } from 'node:fs/promises';
import {
  type ClickHouseClient,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client';

/** `dir`: ClickHouse runs in this process on that folder. Otherwise a server's HTTP interface. */
export type ClickHouseOptions =
  | { readonly dir: string }
  | {
      readonly url: string;
      readonly user: string;
      readonly password: string;
      readonly database: string;
    };

type ClientConnection = NonNullable<NonNullable<Parameters<typeof createClient>[0]>['connection']>;

export interface Connector {
  /** A client of its own, on which every statement has these settings. */
  connect(settings: ClickHouseSettings, timeoutMs: number): Promise<ClickHouseClient>;
  /** chdb: a connection runs one statement at a time, and a waiting one holds a thread of Node's pool. */
  readonly oneAtATime: boolean;
}

export function connectorFor(options: ClickHouseOptions): Promise<Connector> {
  return 'dir' in options ? embedded(options.dir) : Promise.resolve(remote(options));
}

async function embedded(dir: string): Promise<Connector> {
  const { createChdbConnection } = await loadChdb();
  await mkdir(dir, { recursive: true });
  return {
    oneAtATime: true,
    async connect(settings) {
      const client = createClient({
        // The same contract; chdb names it by the types of the older package client-common.
        connection: createChdbConnection({ path: dir }) as unknown as ClientConnection,
        log: SILENT,
      });
      // Settings that come with a statement stay on a chdb connection, so they are given once, at the start.
      const assignments = Object.entries(settings).map(
        ([name, value]) => `${name} = ${quote(String(value))}`,
      );
      await client.command({ query: `SET ${assignments.join(', ')}` });
      return client;
    },
  };
}

async function loadChdb(): Promise<typeof import('chdb/connection')> {
  try {
    return await import('chdb/connection');
  } catch (error) {
    throw new Error(
      'The embedded ClickHouse needs the optional package chdb, which cannot be loaded here. ' +
        'Run `npm install --include=optional`, or set CLICKHOUSE_URL to a ClickHouse server.',
      { cause: error },
    );
  }
}

function remote(options: Exclude<ClickHouseOptions, { dir: string }>): Connector {
  return {
    oneAtATime: false,
    connect: (settings, timeoutMs) =>
      Promise.resolve(
        createClient({
          url: options.url,
          username: options.user,
          password: options.password,
          database: options.database,
          application: 'tributary',
          request_timeout: timeoutMs,
          clickhouse_settings: settings,
          log: SILENT,
        }),
      ),
  };
}

/** The client's own log would show rows of strangers; errors reach us as errors. */
const SILENT = { level: ClickHouseLogLevel.OFF };

/** A ClickHouse string literal. */
export const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
