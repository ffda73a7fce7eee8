/** A process with one server: `capture-server.ts '{"server": …}'` (`ServerKind`). Its parent measures it. */

import { gunzipSync } from 'node:zlib';
import { startCapture } from '../src/capture/server.ts';
import { loadUws } from '../src/capture/uws.ts';
import { realEnvironment } from '../src/environment.ts';
import { asTeamId } from '../src/event/ids.ts';
import { UNRESTRICTED } from '../src/event/restriction.ts';
import { newEventUuid } from '../src/ids.ts';
import { LIMITS } from '../src/limits.ts';
import { silentLogger } from '../src/logger.ts';
import { Parts } from '../src/parts.ts';
import type { EventLog } from '../src/storage/event-log.ts';
import type { Team } from '../src/storage/team-store.ts';
import type { ServerKind, ServerReady } from './capture-contest.ts';
import { TOKEN } from './events.ts';
import { openLogOnKafka } from './kafka.ts';
import { obey } from './measured-child.ts';
import { PARTITIONS, startLog } from './stores.ts';

const HOST = '127.0.0.1';
const TEAM: Team = {
  id: asTeamId(1),
  token: TOKEN,
  name: 'bench',
  anonymizeIps: false,
  personProcessingOptOut: false,
  restrictions: UNRESTRICTED,
};

type LogKind = Extract<ServerKind, { readonly server: 'capture' }>;

async function openLog(kind: LogKind, parts: Parts): Promise<Pick<EventLog, 'append'>> {
  switch (kind.log) {
    // What the disk costs is the same for whoever writes to it.
    case 'none':
      return { append: async () => [] };
    case 'embedded':
      return startLog(parts, kind.dir);
    case 'kafka':
      return openLogOnKafka(parts, { hosts: kind.hosts, prefix: '', partitions: PARTITIONS });
  }
}

async function startCaptureOn(log: Pick<EventLog, 'append'>): Promise<number> {
  const { port } = await startCapture({
    ...realEnvironment(silentLogger),
    host: HOST,
    port: 0,
    log,
    teams: { cached: () => TEAM, byToken: async () => TEAM },
    newUuid: newEventUuid,
    trustedProxies: [],
  });
  return port;
}

function startRoute(): Promise<number> {
  const uws = loadUws(LIMITS.capture.headersBytesMax);
  const app = uws.App();
  app.any('/*', (res) => {
    res.onAborted(() => {});
    let body = Buffer.alloc(0);
    res.onData((chunk, isLast) => {
      const bytes = Buffer.from(chunk);
      body = isLast && body.length === 0 ? bytes : Buffer.concat([body, bytes]);
      if (!isLast) return;
      const json = isGzip(body) ? gunzipSync(body) : body;
      const events: unknown = JSON.parse(json.toString());
      if (events === null) return;
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

const isGzip = (bytes: Buffer): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

const kind: ServerKind = JSON.parse(process.argv[2] ?? '');
const parts = new Parts(silentLogger);
const port = kind.server === 'route' ? await startRoute() : await startCaptureOn(await openLog(kind, parts));
obey({ port } satisfies ServerReady);
