/** The ways in which clients wrap a JSON text, and what they call that. */
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { compressToBase64 } from '../../test/support/lz-string.ts';
import { zstdFrame } from '../../test/support/zstd.ts';
import type { Chance } from './chance.ts';

interface Wrapping {
  readonly name: string;
  readonly wrap: (text: Buffer) => Buffer;
  readonly names: readonly string[];
  /** Without its name it could be anything. */
  readonly needsName?: boolean;
  /** Text, so that it fits into a form or a query. */
  readonly isText?: boolean;
}

const base64 = (bytes: Buffer): Buffer => Buffer.from(bytes.toString('base64'));
const PLAIN: Wrapping = { name: 'plain', wrap: (text) => text, names: ['identity', ''], isText: true };
/** It takes long to make, and is text in text out: not for what is large, or no UTF-8. */
const LZ64: Wrapping = {
  name: 'lz64',
  wrap: (text) => Buffer.from(compressToBase64(text.toString())),
  names: ['lz64', 'lz-string'],
  needsName: true,
  isText: true,
};
const LZ64_BYTES_MAX = 8_192;

const WRAPPINGS: readonly Wrapping[] = [
  PLAIN,
  PLAIN,
  { name: 'gzip', wrap: (text) => gzipSync(text), names: ['gzip', 'gzip-js', 'GZIP', 'x-gzip'] },
  { name: 'gzip stored', wrap: (text) => gzipSync(text, { level: 0 }), names: ['gzip'] },
  { name: 'deflate', wrap: (text) => deflateSync(text), names: ['deflate'] },
  { name: 'raw deflate', wrap: (text) => deflateRawSync(text), names: ['deflate'], needsName: true },
  { name: 'zstd', wrap: zstdFrame, names: ['zstd'] },
  { name: 'base64', wrap: base64, names: ['base64', 'b64'], isText: true },
  { name: 'base64 of gzip', wrap: (text) => base64(gzipSync(text)), names: ['gzip', 'base64'], isText: true },
  { name: 'gzip of base64', wrap: (text) => gzipSync(base64(text)), names: ['gzip'] },
  LZ64,
];

export interface Wrapped {
  readonly body: Buffer;
  readonly what: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Parts of a query, encoded. */
  readonly query: readonly string[];
  /** In the query instead of the body. */
  readonly isInQuery: boolean;
}

const FORM = 'application/x-www-form-urlencoded';
const CONTENT_TYPES = [
  'application/json',
  'text/plain',
  FORM,
  'application/octet-stream',
  'application/json; charset=utf-8',
];
/** The whole head of a request has to fit into the server's limit. */
const QUERY_BYTES_MAX = 12_000;

/** `keepsType`: the content type is the dialect's own, and there are no forms. */
export function wrap(text: Buffer, keepsType: boolean, chance: Chance): Wrapped {
  const chosen = chance.pick(WRAPPINGS);
  const wrapping = chosen === LZ64 && (text.length > LZ64_BYTES_MAX || !isClean(text)) ? PLAIN : chosen;
  const wrapped = wrapping.wrap(text);
  const named = wrapping.needsName || chance.oneIn(2) ? chance.pick(wrapping.names) : '';
  const isText = wrapping.isText === true && !keepsType && isClean(text);
  if (isText && chance.oneIn(6)) return inForm(wrapping, wrapped, named, chance);
  const data = isText && chance.oneIn(6) ? encodeURIComponent(wrapped.toString()) : undefined;
  if (data !== undefined && data.length <= QUERY_BYTES_MAX) {
    const query = [`data=${data}`, ...(named === '' ? [] : [`compression=${named}`])];
    return {
      body: Buffer.alloc(0),
      what: `${wrapping.name} in the query`,
      headers: {},
      query,
      isInQuery: true,
    };
  }
  const type = keepsType ? {} : { 'content-type': chance.pick(CONTENT_TYPES) };
  const isNamedInHeader = keepsType || chance.oneIn(2);
  return {
    body: wrapped,
    what: `${wrapping.name}${named === '' ? '' : ` called ${named}`}`,
    headers: { ...type, ...(named !== '' && isNamedInHeader ? { 'content-encoding': named } : {}) },
    query: named === '' || isNamedInHeader ? [] : [`compression=${named}`],
    isInQuery: false,
  };
}

function inForm(wrapping: Wrapping, wrapped: Buffer, named: string, chance: Chance): Wrapped {
  const fields = [`data=${encodeURIComponent(wrapped.toString())}`];
  if (named !== '') fields.push(`compression=${named}`);
  if (chance.oneIn(2)) fields.push('ip=1');
  return {
    body: Buffer.from(fields.join('&')),
    what: `${wrapping.name} in a form`,
    headers: { 'content-type': FORM },
    query: [],
    isInQuery: false,
  };
}

const isClean = (text: Buffer): boolean => Buffer.from(text.toString()).equals(text);
