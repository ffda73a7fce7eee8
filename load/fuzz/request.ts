/** An HTTP request as bytes: well-formed, however odd. */
import type { Chance } from './chance.ts';

export interface Request {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** With a `Content-Length`. */
export function toBytes(request: Request): Buffer {
  const length =
    request.body.length > 0 || request.method === 'POST' ? { 'content-length': request.body.length } : {};
  return Buffer.concat([head(request, length), request.body]);
}

/** In chunks of any size; nothing says how long the body is. */
export function toChunkedBytes(request: Request, chance: Chance): Buffer {
  const parts = [head(request, { 'transfer-encoding': 'chunked' })];
  for (let at = 0; at < request.body.length; ) {
    const length = Math.min(
      chance.between(1, Math.max(16, Math.ceil(request.body.length / 4))),
      request.body.length - at,
    );
    parts.push(
      Buffer.from(`${length.toString(16)}\r\n`),
      request.body.subarray(at, at + length),
      Buffer.from('\r\n'),
    );
    at += length;
  }
  parts.push(Buffer.from('0\r\n\r\n'));
  return Buffer.concat(parts);
}

function head(
  { method, target, headers }: Request,
  framing: Readonly<Record<string, string | number>>,
): Buffer {
  const lines = Object.entries({ host: 'localhost', ...headers, ...framing }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

const ODD_VALUES = [
  '',
  ' ',
  ',',
  ';',
  '\t',
  '\u00ff\u00fe',
  '%00',
  '"',
  'null',
  '0',
  '-1',
  '1e9',
  '*',
  '*/*',
  'gzip, deflate',
  'br',
  'snappy',
  'chunked',
  'a=b; c=d',
  "'",
  '<script>',
  '127.0.0.1',
  '::1',
  '[::1]:80',
  '999.999.999.999',
  'unknown',
  '10.0.0.1, 192.168.0.1',
  'fe80::1%eth0',
  'Bearer',
  'Bearer ',
  'Bearer phx_secret',
  'Basic !!!!',
  'Basic Og==',
  'https://example.com',
  'null, null',
  'ÿ'.repeat(50),
];

const NAMES = [
  'x-forwarded-for',
  'origin',
  'referer',
  'user-agent',
  'cookie',
  'accept',
  'accept-encoding',
  'if-none-match',
  'range',
  'via',
  'forwarded',
  'access-control-request-headers',
  'access-control-request-method',
  'posthog-sdk-info',
  'posthog-request-id',
  'posthog-request-timestamp',
  'posthog-attempt',
  'x-request-id',
  'x-posthog-token',
  'te',
  'trailer',
  'date',
  'dnt',
  'pragma',
  'x-http-method-override',
];
/** These decide what the body is: an odd one mostly refuses the request. */
const DECISIVE = ['content-type', 'content-encoding', 'authorization'];

export interface Changed {
  readonly request: Request;
  readonly what: string;
}

/** Changes something around the body; the request stays well-formed HTTP. */
export function mutateRequest(request: Request, chance: Chance): Changed {
  switch (chance.integer(8)) {
    case 0:
    case 1:
    case 2:
      return header(request, chance.pick(NAMES), oddValue(chance));
    case 3: {
      const many = Array.from({ length: chance.between(1, 60) }, (_, index) => [
        `x-fuzz-${index}`,
        chance.pick(ODD_VALUES),
      ]);
      return {
        request: { ...request, headers: { ...request.headers, ...Object.fromEntries(many) } },
        what: `${many.length} headers more`,
      };
    }
    case 4:
    case 5: {
      const query = oddQuery(chance);
      const target = `${request.target}${request.target.includes('?') ? '&' : '?'}${query}`;
      return { request: { ...request, target }, what: `the query ${query.slice(0, 60)}` };
    }
    case 6: {
      const target = oddTarget(request.target, chance);
      return { request: { ...request, target }, what: `the path ${target.slice(0, 60)}` };
    }
    default:
      if (chance.oneIn(2)) return header(request, chance.pick(DECISIVE), oddValue(chance));
      return oddMethod(request, chance);
  }
}

function header(request: Request, name: string, value: string): Changed {
  const what = `the header ${name}: ${JSON.stringify(value.slice(0, 40))}`;
  return { request: { ...request, headers: { ...request.headers, [name]: value } }, what };
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND', 'get', 'X'];

function oddMethod(request: Request, chance: Chance): Changed {
  const method = chance.pick(METHODS);
  return { request: { ...request, method }, what: `the method ${method}` };
}

const oddValue = (chance: Chance): string =>
  chance
    .pick(ODD_VALUES)
    .repeat(chance.oneIn(6) ? chance.between(2, 60) : 1)
    .slice(0, 8_000);

const QUERIES = [
  '_=1700000000000',
  '_=1',
  '_=99999999999999999999',
  '_=x',
  'ip=1',
  'ip=0',
  'ver=1.449.2',
  'beacon=1',
  'beacon=0',
  'verbose=1',
  'callback=x',
  'compression=gzip-js',
  'compression=gzip',
  'compression=base64',
  'compression=made-up',
  '%',
  '%zz',
  '%00',
  '=',
  '&&&',
  'data=',
  'data',
  'a[]=1&a[]=2',
  '__proto__=1',
  'token=phc_other',
  'api_key=x',
  '+',
  '#x',
  'retry_count=3',
  'v=2',
];

function oddQuery(chance: Chance): string {
  const query = chance.pick(QUERIES);
  return chance.oneIn(20) ? Array.from({ length: 200 }, () => query).join('&') : query;
}

const PATHS = [
  '/',
  '//',
  '/e//',
  '/batch/..',
  '/static/../package.json',
  '/static/..%2f..%2fpackage.json',
  '/static/%00',
  '/static/array.js',
  '/static/1.449.2/',
  '/array/x/config',
  '/array//config.js',
  '/array/%ff/config',
  '/flags',
  '/decide?v=3',
  '/flags/definitions',
  '/api/surveys',
  '/s',
  '/s/',
  '/api/early_access_features',
  '/api/web_experiments',
  '/api/product_tours',
  '/api/feature_flag/local_evaluation',
  '/E',
  '/_ledger',
  '/_metrics',
  '/i/v0',
  '/i/v1/analytics',
  '/v1/nothing',
  '/favicon.ico',
  '/%2e%2e/%2e%2e',
  '/batch;x=1',
  "/';--",
  '/a'.repeat(500),
];

function oddTarget(target: string, chance: Chance): string {
  const [path = '', query] = target.split('?');
  const rest = query === undefined ? '' : `?${query}`;
  switch (chance.integer(4)) {
    case 0:
      return `${path}/${rest}`;
    case 1:
      return `${path.toUpperCase()}${rest}`;
    case 2:
      return `${path}${chance.pick(['/x', '%20', '%2f', '.', '//', ';'])}${rest}`;
    default:
      return chance.pick(PATHS);
  }
}
