/** ClickHouse's HTTP interface, as far as the client uses it, in front of the real engine in this process. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createChdbConnection } from 'chdb/connection';

export interface Bridge {
  readonly url: string;
  /** From now on no request is answered. */
  hang(): void;
  close(): Promise<void>;
}

/** Parameters of the interface that are no settings of the engine. */
const NO_SETTINGS = new Set(['query', 'query_id', 'database', 'default_format', 'wait_end_of_query']);

export async function startClickHouseBridge(dir: string): Promise<Bridge> {
  let hangs = false;
  const server = createServer(async (request, response) => {
    if (hangs) return;
    const connection = createChdbConnection({ path: dir });
    try {
      const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      const query = searchParams.get('query');
      const settings = [...searchParams].filter(([name]) => !NO_SETTINGS.has(name));
      if (settings.length > 0) {
        await connection.chdb.queryAsync(
          `SET ${settings.map(([name, value]) => `${name} = '${value}'`).join(', ')}`,
        );
      }
      const result = await connection.chdb.queryAsync(query === null ? body : `${query}\n${body}`, {
        format: searchParams.get('default_format') ?? 'TabSeparated',
      });
      response.writeHead(200).end(result.bytes());
    } catch (error) {
      response.writeHead(500, { 'x-clickhouse-exception-code': '1' }).end(String(error));
    } finally {
      await connection.close();
    }
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hang() {
      hangs = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if (hangs) server.closeAllConnections();
      }),
  };
}
