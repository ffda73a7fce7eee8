/** The console port: health, metrics, the books and queries. Never on the capture port. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { HoldReport } from '../actors/hold-report.ts';
import type { Books } from '../books.ts';
import { openApi } from '../capture/api/open-api.ts';
import { parseUuid } from '../event/ids.ts';
import { LIMITS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import { redactText } from '../redact.ts';
import { QueryRefusedError } from '../storage/clickhouse-port.ts';
import { denied } from './access.ts';
import { readBody } from './body.ts';
import type { Check } from './checks.ts';
import { BadRequestError, type LettersAnswer, type ReplayAnswer } from './dead-letters-route.ts';
import { heldAnswer } from './held.ts';

/** The databases that `/sql` can ask. */
export const DATABASES = ['clickhouse', 'postgres'] as const;
export type Database = (typeof DATABASES)[number];

/** What the console shows. */
export interface ConsoleSources {
  /** What a restart can mend: loops that have stopped. */
  health(): readonly Check[];
  /** What this process needs to do its work. */
  ready(): Promise<readonly Check[]>;
  metrics(): Promise<string>;
  books(): Promise<Books>;
  /** `undefined`: the worker knows nothing of this event. */
  held(eventUuid: string): HoldReport | undefined;
  /** Reject with `BadRequestError`, or with `QueryRefusedError` where there is no ClickHouse. */
  deadLetters(asked: URLSearchParams): Promise<LettersAnswer>;
  replayDeadLetters(body: string): Promise<ReplayAnswer>;
  /**
   * One read-only statement; JSONEachRow. Rejects with `QueryRefusedError` when the database refuses it.
   * `signal`: the client has gone.
   */
  query(database: Database, sql: string, signal: AbortSignal): Promise<string>;
}

export interface ConsoleOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly token: string | undefined;
  /** What this process runs, for `/`. */
  readonly roles: readonly string[];
  /** Where SDKs post, for `/`; `undefined`: at another process. */
  readonly captureUrl: string | undefined;
  readonly sources: ConsoleSources;
  readonly logger: Logger;
}

export interface Console {
  readonly port: number;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const JSON_TYPE = 'application/json';
const NDJSON_TYPE = 'application/x-ndjson';
const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Rejects with the `listen` error of Node (`EADDRINUSE` …). */
export async function startConsole(options: ConsoleOptions): Promise<Console> {
  const server = createServer((request, response) => {
    handle(request, options).then(
      (answer) => send(response, answer),
      (error: unknown) => {
        options.logger.warn(
          { path: request.url?.split('?')[0], error: String(error) },
          'the console could not answer',
        );
        const text = redactText(error instanceof Error ? error.message : String(error));
        send(response, { status: 500, body: `${text}\n` });
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  server.on('error', (error) => options.logger.error({ error: error.message }, 'the console port failed'));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(request: IncomingMessage, options: ConsoleOptions): Promise<Answer> {
  const target = `http://console${request.url}`;
  if (!URL.canParse(target)) return { status: 400, body: 'the address of the request is malformed\n' };
  const url = new URL(target);
  const route = ROUTES.find(({ path }) => path === url.pathname);
  if (!route) return { status: 404, body: `There is no ${url.pathname} here. ${about(options)}` };
  const methods = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
  if (!methods.includes(request.method ?? '')) {
    return { status: 405, body: `${url.pathname} takes ${route.method}\n`, headers: { allow: route.method } };
  }
  const refusal = route.showsData ? denied(request, options.token) : undefined;
  if (refusal) return { status: refusal.status, body: `${refusal.message}\n` };
  return route.answer(options, url, request);
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Only for those who may see data. */
  readonly showsData?: true;
  answer(options: ConsoleOptions, url: URL, request: IncomingMessage): Promise<Answer>;
}

export const ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/',
    answer: async (options) => ({ status: 200, body: about(options) }),
  },
  {
    method: 'GET',
    path: '/_health',
    answer: async ({ sources }) => checksAnswer(sources.health()),
  },
  {
    method: 'GET',
    path: '/_ready',
    answer: async ({ sources }) => checksAnswer(await sources.ready()),
  },
  {
    method: 'GET',
    path: '/_metrics',
    answer: async ({ sources }) => ({
      status: 200,
      type: PROMETHEUS_TYPE,
      body: await sources.metrics(),
    }),
  },
  {
    method: 'GET',
    path: '/_ledger',
    answer: async ({ sources }) => ({
      status: 200,
      type: JSON_TYPE,
      body: `${JSON.stringify(await sources.books())}\n`,
    }),
  },
  {
    method: 'GET',
    path: '/openapi.json',
    answer: async () => ({ status: 200, type: JSON_TYPE, body: openApi() }),
  },
  {
    method: 'GET',
    path: '/_held',
    showsData: true,
    answer: async ({ sources }, url) => answerHeld(sources, url),
  },
  {
    method: 'GET',
    path: '/_dead_letters',
    showsData: true,
    answer: ({ sources }, url) => jsonAnswer(() => sources.deadLetters(url.searchParams)),
  },
  { method: 'POST', path: '/_dead_letters/replay', showsData: true, answer: answerDeadLettersReplay },
  { method: 'POST', path: '/sql', showsData: true, answer: answerSql },
];

async function answerDeadLettersReplay(
  { sources }: ConsoleOptions,
  _: URL,
  request: IncomingMessage,
): Promise<Answer> {
  const { requestBytesMax } = LIMITS.deadLetters;
  const body = await readBody(request, requestBytesMax);
  if (body === undefined) return { status: 413, body: `a request has at most ${requestBytesMax} bytes\n` };
  return jsonAnswer(() => sources.replayDeadLetters(body));
}

async function jsonAnswer(answer: () => Promise<unknown>): Promise<Answer> {
  try {
    return { status: 200, type: JSON_TYPE, body: `${JSON.stringify(await answer())}\n` };
  } catch (error) {
    if (!(error instanceof BadRequestError || error instanceof QueryRefusedError)) throw error;
    return { status: 400, body: `${error.message}\n` };
  }
}

function answerHeld(sources: ConsoleSources, url: URL): Answer {
  const uuid = parseUuid(url.searchParams.get('event') ?? '');
  if (uuid === undefined) {
    return { status: 400, body: 'event names the event to ask for: /_held?event=<its uuid>\n' };
  }
  const answer = heldAnswer(sources.held(uuid));
  return {
    status: answer.state === 'unknown' ? 404 : 200,
    type: JSON_TYPE,
    body: `${JSON.stringify(answer)}\n`,
  };
}

async function answerSql({ sources }: ConsoleOptions, url: URL, request: IncomingMessage): Promise<Answer> {
  const asked = url.searchParams.get('database') ?? 'clickhouse';
  const database = DATABASES.find((name) => name === asked);
  if (!database) {
    return { status: 400, body: `database is "${asked}": it takes ${DATABASES.join(' or ')}\n` };
  }
  const sql = await readBody(request, LIMITS.console.sqlBytesMax);
  if (sql === undefined) {
    return { status: 413, body: `a statement has at most ${LIMITS.console.sqlBytesMax} bytes\n` };
  }
  if (sql.trim() === '') return { status: 400, body: 'the body is empty: it takes one SQL statement\n' };
  const gone = new AbortController();
  const onClose = () => gone.abort();
  request.socket.once('close', onClose);
  try {
    return { status: 200, type: NDJSON_TYPE, body: await sources.query(database, sql, gone.signal) };
  } catch (error) {
    if (!(error instanceof QueryRefusedError)) throw error;
    return { status: 400, body: `${error.message}\n` };
  } finally {
    request.socket.off('close', onClose);
  }
}

function checksAnswer(checks: readonly Check[]): Answer {
  const failed = checks.filter(({ ok }) => !ok);
  const lines = (failed.length > 0 ? failed : checks).map(
    ({ name, ok, detail }) =>
      `${name}: ${ok ? 'ok' : 'failed'}${detail === undefined ? '' : ` (${redactText(detail)})`}\n`,
  );
  return { status: failed.length > 0 ? 503 : 200, body: lines.join('') };
}

function about({ roles, captureUrl }: ConsoleOptions): string {
  return `Tributary: an event pipeline that any PostHog SDK can be pointed at.

This process runs ${roles.join(', ')}. SDKs post to ${captureUrl ?? 'one that runs capture'}. Here:

  GET  /_health    503 when a restart would help, with what has stopped
  GET  /_ready     503 while something is missing, with what it is
  GET  /_metrics   for Prometheus
  GET  /_ledger    the books: what became of every event
  GET  /openapi.json  what capture takes, for tools
  GET  /_held      ?event=<uuid>: whether that event is held, for whom and until when
  GET  /_dead_letters  what could not be processed; \`npm run dead-letters\` shows it and puts it back
  POST /sql        one read-only statement; ?database=clickhouse (default) or postgres
`;
}

function send(response: ServerResponse, { status, body, type, headers }: Answer): void {
  // What was not read of a refused body must not be taken for the next request.
  if (status >= 400) response.setHeader('connection', 'close');
  response.writeHead(status, {
    'content-type': type ?? 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
