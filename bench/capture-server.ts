/** A process with one server: `capture-server.ts ours|floor`. Sends its port, and the cost of what it is asked for. */
import { startCapture } from '../src/capture/server.ts';
import { loadUws } from '../src/capture/uws.ts';
import { realEnvironment } from '../src/environment.ts';
import { asTeamId } from '../src/event/ids.ts';
import { newEventUuid } from '../src/ids.ts';
import { LIMITS } from '../src/limits.ts';
import { silentLogger } from '../src/logger.ts';
import type { Team } from '../src/storage/team-store.ts';
import type { Cost } from './benchmark.ts';
import type { ServerOrder } from './capture.ts';
import { TOKEN } from './events.ts';

const HOST = '127.0.0.1';
const TEAM: Team = {
  id: asTeamId(1),
  token: TOKEN,
  name: 'bench',
  anonymizeIps: false,
  personProcessingOptOut: false,
};

async function startOurs(): Promise<number> {
  const { port } = await startCapture({
    ...realEnvironment(silentLogger),
    host: HOST,
    port: 0,
    // What the disk costs is the same for whoever writes to it.
    log: { append: async () => [] },
    teams: { cached: () => TEAM, byToken: async () => TEAM },
    newUuid: newEventUuid,
    trustedProxies: [],
  });
  return port;
}

function startFloor(): Promise<number> {
  const uws = loadUws(LIMITS.capture.headersBytesMax);
  const app = uws.App();
  app.any('/i/v0/e', (res) => {
    res.onAborted(() => {});
    let body = Buffer.alloc(0);
    res.onData((chunk, isLast) => {
      const bytes = Buffer.from(chunk);
      body = isLast && body.length === 0 ? bytes : Buffer.concat([body, bytes]);
      if (!isLast) return;
      const event: unknown = JSON.parse(body.toString());
      if (event === null) return;
      res.writeHeader('Content-Type', 'application/json').end('{"status":1}');
    });
  });
  return new Promise((resolve, reject) => {
    app.listen(HOST, 0, 0, (socket) => {
      if (socket === false) reject(new Error(`cannot listen on ${HOST}`));
      else resolve(uws.us_socket_local_port(socket));
    });
  });
}

const port = process.argv[2] === 'ours' ? await startOurs() : await startFloor();
let before = process.cpuUsage();
process.on('message', (order: ServerOrder) => {
  if (order === 'begin') {
    globalThis.gc?.();
    before = process.cpuUsage();
    process.send?.({});
  } else {
    const { user, system } = process.cpuUsage(before);
    process.send?.({ total: user + system } satisfies Cost);
  }
});
// For ours and the floor alike: a server keeps its process alive.
process.on('disconnect', () => process.exit(0));
process.send?.({ port });
