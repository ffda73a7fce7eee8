/** The ways in which a client may wrap and announce a JSON text, as a table. */
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { compressToBase64 } from '../support/lz-string.ts';
import { zstdFrame } from '../support/zstd.ts';

export interface Wrapping {
  readonly name: string;
  readonly wrap: (json: string) => string | Buffer;
  /** What it can be called, in a header or a query; the first is what clients say. */
  readonly names: readonly string[];
  /** Without its name it could be anything. */
  readonly needsName?: boolean;
  /** Text, so that it fits into a form or a query. */
  readonly isText: boolean;
}

const base64 = (bytes: string | Buffer) => Buffer.from(bytes).toString('base64');

export const WRAPPINGS: readonly Wrapping[] = [
  { name: 'plain', wrap: (json) => json, names: ['identity', 'gzip', 'made-up'], isText: true },
  { name: 'gzip', wrap: (json) => gzipSync(json), names: ['gzip', 'gzip-js', 'GZIP'], isText: false },
  { name: 'deflate', wrap: (json) => deflateSync(json), names: ['deflate'], isText: false },
  {
    name: 'deflate without its header',
    wrap: (json) => deflateRawSync(json),
    names: ['deflate'],
    needsName: true,
    isText: false,
  },
  { name: 'zstd', wrap: (json) => zstdFrame(Buffer.from(json)), names: ['zstd'], isText: false },
  { name: 'base64', wrap: base64, names: ['base64', 'b64'], isText: true },
  { name: 'lz64', wrap: compressToBase64, names: ['lz64', 'lz-string'], needsName: true, isText: true },
  { name: 'base64 of gzip', wrap: (json) => base64(gzipSync(json)), names: ['gzip', 'base64'], isText: true },
  {
    name: 'base64 of zstd',
    wrap: (json) => base64(zstdFrame(Buffer.from(json))),
    names: ['zstd'],
    isText: true,
  },
  { name: 'gzip of base64', wrap: (json) => gzipSync(base64(json)), names: ['gzip'], isText: false },
];

/** A request's body, query and headers. */
export interface Sent {
  readonly how: string;
  readonly method: 'GET' | 'POST';
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | undefined;
}

const FORM = 'application/x-www-form-urlencoded';
/** What clients and beacons call a body. */
const CONTENT_TYPES = ['application/json', 'text/plain', FORM, 'application/octet-stream'];

/** Every way to send this JSON text to a v0 path. */
export function* waysToSend(json: string): Generator<Sent> {
  for (const wrapping of WRAPPINGS) {
    const wrapped = wrapping.wrap(json);
    yield* inBody(wrapping, wrapped);
    if (typeof wrapped !== 'string') continue;
    yield* inForm(wrapping, wrapped);
    yield* inQuery(wrapping, wrapped);
  }
}

function* inBody({ name, names, needsName }: Wrapping, body: string | Buffer): Generator<Sent> {
  const sent = { method: 'POST', body, query: {}, headers: {} } as const;
  for (const contentType of CONTENT_TYPES) {
    const headers = { 'content-type': contentType };
    const as = `${name} as ${contentType}`;
    if (!needsName) yield { ...sent, how: `${as}, not announced`, headers };
    for (const called of names) {
      const both = { ...headers, 'content-encoding': called };
      yield { ...sent, how: `${as}, announced by the header as ${called}`, headers: both };
      yield {
        ...sent,
        how: `${as}, announced by the query as ${called}`,
        headers,
        query: { compression: called },
      };
    }
  }
}

function* inForm({ name, names, needsName }: Wrapping, wrapped: string): Generator<Sent> {
  const data = `data=${encodeURIComponent(wrapped)}`;
  const sent = { method: 'POST', query: {} } as const;
  for (const contentType of [FORM, 'text/plain']) {
    const headers = { 'content-type': contentType };
    const as = `a form with ${name} as ${contentType}`;
    if (!needsName) yield { ...sent, how: `${as}, not announced`, headers, body: data };
    for (const called of names) {
      const body = `${data}&compression=${called}&ip=1`;
      yield { ...sent, how: `${as}, announced by the form as ${called}`, headers, body };
      const query = { compression: called };
      yield { ...sent, how: `${as}, announced by the query as ${called}`, headers, body: data, query };
    }
  }
}

function* inQuery({ name, names, needsName }: Wrapping, wrapped: string): Generator<Sent> {
  for (const method of ['GET', 'POST'] as const) {
    const body = method === 'GET' ? undefined : 'what is in the query counts';
    const sent = { method, headers: {}, body } as const;
    const as = `${method} with ${name} in the query`;
    if (!needsName) yield { ...sent, how: `${as}, not announced`, query: { data: wrapped } };
    for (const called of names) {
      yield { ...sent, how: `${as}, announced as ${called}`, query: { data: wrapped, compression: called } };
    }
  }
}
