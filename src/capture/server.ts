/** Capture: where SDKs post. Starts the server, hands requests to their routes, and stops it. */
import { assertFree } from '../address.ts';
import { type Clock, sleep } from '../clock.ts';
import type { EventUuid } from '../event/ids.ts';
import { LIMITS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';
import type { TeamStore } from '../storage/team-store.ts';
import { ACCEPTED, preflight, text } from './answers.ts';
import type { Appender } from './append.ts';
import { clientIp } from './client-ip.ts';
import { boundConnections, type ConnectionLimits } from './connections.ts';
import { dialectOf } from './dialects.ts';
import { Door, type DoorCounts } from './door.ts';
import { isEventKind } from './event-routes.ts';
import { type CaptureLimits, EventsRoute } from './events-route.ts';
import { Exchange } from './exchange.ts';
import { FlagsHost } from './flags-host.ts';
import { FlagsRoute } from './flags-route.ts';
import { Questions } from './questions.ts';
import { ABOUT, allowed, allows, notFound, pathsOf, ROUTES, type Route } from './routes.ts';
import { Scripts } from './scripts.ts';
import {
  EXCLUSIVE_PORT,
  type HttpRequest,
  loadUws,
  type Uws,
  type UwsApp,
  type us_listen_socket,
} from './uws.ts';

export interface CaptureOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly log: Appender;
  readonly teams: TeamStore;
  readonly clock: Clock;
  readonly newUuid: () => EventUuid;
  /** Addresses or CIDRs whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  /** A PostHog host that answers for feature flags. */
  readonly flagsProxyUrl?: string | undefined;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Other limits than `LIMITS.capture`, for tests. */
  readonly limits?: Partial<CaptureLimits & ConnectionLimits>;
}

export interface Capture {
  readonly port: number;
  /** Takes no new requests, lets those in flight finish for `closeGraceMs`, then ends every connection. */
  close(): Promise<void>;
  /** What ended here since the start. */
  door(): DoorCounts;
}

const SETTINGS = { host: 'CAPTURE_HOST', port: 'CAPTURE_PORT' };
const CLOSE_POLL_MS = 10;

/** Rejects, with one line that says what to do, when it cannot listen there or the library does not load. */
export async function startCapture(options: CaptureOptions): Promise<Capture> {
  const { host, port, clock, metrics, trustedProxies, flagsProxyUrl } = options;
  const door = new Door(metrics);
  const limits = { ...LIMITS.capture, ...options.limits };
  const ipOf = clientIp(trustedProxies);
  const events = new EventsRoute({ ...options, limits, door, clientIp: ipOf });
  const flagsHost = flagsProxyUrl === undefined ? undefined : new FlagsHost(flagsProxyUrl);
  const flags = new FlagsRoute({ ...options, door, host: flagsHost, clientIp: ipOf });
  const questions = new Questions(flags, await Scripts.load());
  const uws = loadUws(LIMITS.capture.headersBytesMax);
  const app = uws.App();
  boundConnections(app, limits, door, metrics);
  addRoutes(app, { events, questions, door });
  const socket = await listen(app, host, port);
  let closing: Promise<void> | undefined;
  return {
    port: uws.us_socket_local_port(socket),
    close() {
      closing ??= close(uws, app, socket, [events, flags], clock);
      return closing;
    },
    door: () => door.counts(),
  };
}

/** Who answers. */
interface Handlers {
  readonly events: EventsRoute;
  readonly questions: Questions;
  readonly door: Door;
}

function addRoutes(app: UwsApp, handlers: Handlers): void {
  for (const route of ROUTES) {
    const handle = handlerOf(route, handlers);
    for (const path of pathsOf(route)) {
      app.any(path, (res, req) => answer(new Exchange(res, req), req, route, handle));
    }
  }
  app.any('/*', (res, req) => {
    const exchange = new Exchange(res, req);
    exchange.answer(text('404 Not Found', notFound(req.getUrl())));
  });
}

function answer(exchange: Exchange, req: HttpRequest, route: Route, handle: Handler): void {
  const { method } = exchange;
  if (method === 'options') {
    exchange.answer(preflight(allowed(route), req.getHeader('access-control-request-headers')));
    return;
  }
  if (!allows(route, method)) {
    const fault = `${method.toUpperCase()} is not answered here: send ${route.methods.join(' or ')}`;
    exchange.answer(text('405 Method Not Allowed', fault, { Allow: allowed(route) }));
    return;
  }
  handle(exchange, req);
}

type Handler = (exchange: Exchange, req: HttpRequest) => void;

/** Made once for each route: what is the same for all of its requests is not asked again. */
function handlerOf({ path, kind }: Route, { events, questions, door }: Handlers): Handler {
  if (isEventKind(kind)) {
    const start = dialectOf(path, kind);
    return (exchange, req) => void events.handle(exchange, req, start);
  }
  if (kind === 'recordings') {
    // They are not processed here: the body runs past unread.
    return (exchange) => {
      door.discard('session_recording', 1);
      exchange.answer(ACCEPTED);
    };
  }
  if (kind === 'about') return (exchange) => exchange.answer(text('200 OK', ABOUT));
  return (exchange, req) => questions.handle(exchange, req, kind);
}

async function listen(app: UwsApp, host: string, port: number): Promise<us_listen_socket> {
  const socket = await new Promise<us_listen_socket | false>((resolve) => {
    app.listen(host, port, EXCLUSIVE_PORT, resolve);
  });
  if (socket !== false) return socket;
  // The library does not say why; Node does.
  await assertFree(host, port, SETTINGS);
  throw new Error(
    `cannot listen on ${host}:${port}: set ${SETTINGS.host} and ${SETTINGS.port} to an address that is free`,
  );
}

async function close(
  uws: Uws,
  app: UwsApp,
  socket: us_listen_socket,
  waiting: readonly (EventsRoute | FlagsRoute)[],
  clock: Clock,
): Promise<void> {
  uws.us_listen_socket_close(socket);
  for (const each of waiting) each.close();
  const hasRequests = () => waiting.some(({ requests }) => requests > 0);
  const deadline = clock.monotonic() + LIMITS.capture.closeGraceMs;
  while (hasRequests() && clock.monotonic() < deadline) await sleep(clock, CLOSE_POLL_MS);
  app.close();
}
