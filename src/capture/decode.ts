/** From the bytes of a body to its JSON, through whatever encodings an SDK has wrapped it in. */
import { gunzip, gunzipSync } from 'node:zlib';
import type { Json } from '../event/json.ts';
import { Refusal } from './refusal.ts';

export interface DecodeLimits {
  readonly inflatedBytesMax: number;
  readonly inflateAtOnceBytesMax: number;
}

export interface Decoded {
  /** The body as JSON text. */
  readonly text: string;
  readonly json: Json;
}

interface Encoding {
  readonly name: string;
  /** Told from the bytes alone: SDKs and proxies leave the headers out, or leave them in. */
  applies(bytes: Buffer): boolean;
  decode(bytes: Buffer, limits: DecodeLimits): Promise<Buffer | Refusal> | Buffer | Refusal;
}

const BASE64: Encoding = { name: 'base64', applies: looksLikeBase64, decode: decodeBase64 };

/** Outermost first; each is taken off at most once. A form may hold base64 of gzip of base64. */
const ENCODINGS: readonly Encoding[] = [
  { name: 'form', applies: looksLikeForm, decode: decodeForm },
  BASE64,
  { name: 'gzip', applies: looksLikeGzip, decode: decodeGzip },
  BASE64,
];

/** Encodings by the names that SDKs give them in `Content-Encoding` and `compression=`. */
const KNOWN_NAMES = new Set(['', 'identity', 'gzip', 'gzip-js', 'base64', 'b64']);

const BRACE = 0x7b;
const BRACKET = 0x5b;

/** `namedEncodings`: what the request calls its encoding. Only asked when the bytes make no sense. */
export async function decodeBody(
  body: Buffer,
  namedEncodings: readonly string[],
  limits: DecodeLimits,
): Promise<Decoded | Refusal> {
  let bytes = body;
  if (bytes[0] !== BRACE && bytes[0] !== BRACKET) {
    for (const encoding of ENCODINGS) {
      if (!encoding.applies(bytes)) continue;
      const inner = await encoding.decode(bytes, limits);
      if (inner instanceof Refusal) return inner;
      bytes = inner;
    }
  }
  if (body.length === 0) return new Refusal('empty_body', 'the body is empty: send events as JSON');
  if (bytes.length === 0) return new Refusal('malformed_body', 'the body holds no JSON: send events as JSON');
  if (bytes.length > limits.inflatedBytesMax) return inflatedTooLarge(limits);
  if (isUtf16(bytes)) return new Refusal('malformed_body', 'the body is UTF-16: send UTF-8');
  return parse(bytes, namedEncodings);
}

function parse(bytes: Buffer, namedEncodings: readonly string[]): Decoded | Refusal {
  // Bytes that are no UTF-8 become U+FFFD; TextDecoder would be slower.
  const text = bytes.toString('utf8', hasUtf8Bom(bytes) ? 3 : 0);
  try {
    return { text, json: JSON.parse(text) };
  } catch (error) {
    const unknown = namedEncodings.find((name) => !KNOWN_NAMES.has(name.toLowerCase()));
    if (unknown !== undefined) {
      const names = JSON.stringify(unknown.slice(0, 40));
      return new Refusal(
        'unsupported_encoding',
        `the encoding ${names} is not supported: send gzip or plain JSON`,
      );
    }
    if (looksLikeGzip(bytes))
      return new Refusal('malformed_body', 'the body is gzip inside gzip: compress it once');
    const cause = error instanceof Error ? error.message : String(error);
    return new Refusal('malformed_body', `the body is not JSON: ${cause}`);
  }
}

function looksLikeGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function decodeGzip(bytes: Buffer, limits: DecodeLimits): Promise<Buffer | Refusal> | Buffer | Refusal {
  if (bytes.length <= limits.inflateAtOnceBytesMax) {
    try {
      return gunzipSync(bytes, { maxOutputLength: limits.inflateAtOnceBytesMax });
    } catch (error) {
      if (!isTooLarge(error)) return gzipFault(error, limits);
    }
  }
  return new Promise((resolve) => {
    const options = { maxOutputLength: limits.inflatedBytesMax, chunkSize: limits.inflateAtOnceBytesMax };
    gunzip(bytes, options, (error, inflated) => resolve(error ? gzipFault(error, limits) : inflated));
  });
}

function isTooLarge(error: unknown): boolean {
  return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}

function gzipFault(error: unknown, limits: DecodeLimits): Refusal {
  if (isTooLarge(error)) return inflatedTooLarge(limits);
  const cause = error instanceof Error ? error.message : String(error);
  return new Refusal('malformed_body', `the body is not valid gzip: ${cause}`);
}

function inflatedTooLarge({ inflatedBytesMax }: DecodeLimits): Refusal {
  const text = `the decoded body is larger than ${inflatedBytesMax} bytes: send fewer events at once`;
  return new Refusal('body_too_large', text);
}

/** The fields that SDKs put into a form; any name would also match short base64, which ends in `=`. */
const FORM_FIELD = /^(?:data|compression|ip|ver|_)=/;
const FORM_DATA = /(?:^|&)data=([^&]*)/;

function looksLikeForm(bytes: Buffer): boolean {
  return FORM_FIELD.test(bytes.toString('latin1', 0, 64));
}

/** The field `data`, percent-decoded. Base64 whose `+` came as a space is repaired. */
function decodeForm(bytes: Buffer): Buffer | Refusal {
  const data = FORM_DATA.exec(bytes.toString('latin1'))?.[1];
  if (data === undefined)
    return new Refusal('malformed_body', 'the form has no field "data": send the events in it');
  try {
    const text = decodeURIComponent(data.replaceAll('+', ' '));
    return Buffer.from(LOOSE_BASE64.test(text) ? text.replaceAll(' ', '+') : text);
  } catch {
    return new Refusal('malformed_body', 'the field "data" of the form is not percent-encoded UTF-8');
  }
}

const STRICT_BASE64 = /^[A-Za-z0-9+/]+={0,2}\s*$/;
const LOOSE_BASE64 = /^[A-Za-z0-9+/ ]+={0,2}\s*$/;

function looksLikeBase64(bytes: Buffer): boolean {
  return STRICT_BASE64.test(bytes.toString('latin1'));
}

function decodeBase64(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1'), 'base64');
}

function hasUtf8Bom(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

function isUtf16(bytes: Buffer): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
}
