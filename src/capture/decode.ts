/** From the bytes of a body to its JSON, through whatever encodings an SDK has wrapped it in. */
import type { Json } from '../event/json.ts';
import {
  type DecodeLimits,
  type Encoding,
  inflatedTooLarge,
  type Layer,
  malformed,
} from './encodings/encoding.ts';
import { LZ64 } from './encodings/lz64.ts';
import { BASE64, FORM } from './encodings/text.ts';
import { DEFLATE, GZIP } from './encodings/zlib.ts';
import { ZSTD } from './encodings/zstd.ts';
import { type ParseLimits, parseInPieces } from './parse.ts';
import { nextTurn } from './queue.ts';
import { Refusal } from './refusal.ts';

export type { DecodeLimits } from './encodings/encoding.ts';

export interface Decoded {
  /** The body as JSON text. */
  readonly text: string;
  readonly json: Json;
}

/** The first that applies is taken off, again and again: a form may hold base64 of gzip of base64. */
const ENCODINGS: readonly Encoding[] = [GZIP, ZSTD, DEFLATE, FORM, LZ64, BASE64];

/** How often each layer is taken off one body. */
const TIMES_MAX: Readonly<Record<Layer, number>> = { compression: 1, form: 1, text: 2 };

const KNOWN_NAMES: ReadonlySet<string> = new Set([
  '',
  'identity',
  ...ENCODINGS.flatMap(({ names }) => names),
]);

/** Of names that a request gives its encoding, the first that is not known here. */
export const unknownEncoding = (names: readonly string[]): string | undefined =>
  names.find((name) => !KNOWN_NAMES.has(name.trim().toLowerCase()));

export function unsupportedEncoding(name: string): Refusal {
  const shown = JSON.stringify(name.slice(0, 40));
  return new Refusal(
    'unsupported_encoding',
    `the encoding ${shown} is not supported: send gzip or plain JSON`,
  );
}

const BRACE = 0x7b;
const BRACKET = 0x5b;

type UnwrapLimits = DecodeLimits & Pick<ParseLimits, 'workAtOnceBytesMax'>;

/** `named`: what the request calls its encoding. Only asked where the bytes do not tell. */
export async function decodeBody(
  body: Buffer,
  named: readonly string[],
  limits: DecodeLimits & ParseLimits,
): Promise<Decoded | Refusal> {
  const bytes = await unwrapBody(body, named, limits);
  return bytes instanceof Refusal ? bytes : parseBody(bytes, named, limits);
}

/** The bytes of the JSON; at once where they are plain. */
export function unwrapBody(
  body: Buffer,
  named: readonly string[],
  limits: UnwrapLimits,
): Promise<Buffer | Refusal> | Buffer | Refusal {
  if (body.length === 0) return new Refusal('empty_body', 'the body is empty: send events as JSON');
  if (body[0] === BRACE || body[0] === BRACKET) return checkJson(body, limits);
  return unwrap(body, named, limits).then((bytes) =>
    bytes instanceof Refusal ? bytes : checkJson(bytes, limits),
  );
}

function checkJson(bytes: Buffer, { inflatedBytesMax }: DecodeLimits): Buffer | Refusal {
  if (bytes.length === 0) return malformed('the body holds no JSON: send events as JSON');
  if (bytes.length > inflatedBytesMax) return inflatedTooLarge(inflatedBytesMax);
  if (isUtf16(bytes)) return malformed('the body is UTF-16: send UTF-8');
  return bytes;
}

async function unwrap(
  body: Buffer,
  named: readonly string[],
  limits: UnwrapLimits,
): Promise<Buffer | Refusal> {
  const announced = new Set(named.map((name) => name.trim().toLowerCase()));
  const left = { ...TIMES_MAX };
  let bytes = body;
  while (bytes.length > 0 && bytes[0] !== BRACE && bytes[0] !== BRACKET) {
    const encoding = ENCODINGS.find(({ layer, applies }) => left[layer] > 0 && applies(bytes, announced));
    if (encoding === undefined) return bytes;
    left[encoding.layer]--;
    const inner = await encoding.decode(bytes, limits);
    if (inner instanceof Refusal) return inner;
    if (inner.announces !== undefined) announced.add(inner.announces.toLowerCase());
    // What was announced has been done.
    for (const name of encoding.names) announced.delete(name);
    bytes = inner.bytes;
    if (bytes.length > limits.workAtOnceBytesMax) await nextTurn();
  }
  return bytes;
}

/** `bytes`: what `unwrapBody` gave. At once where they are few. */
export function parseBody(
  bytes: Buffer,
  named: readonly string[],
  limits: ParseLimits,
): Promise<Decoded | Refusal> | Decoded | Refusal {
  // Bytes that are no UTF-8 become U+FFFD; TextDecoder would be slower.
  const text = bytes.toString('utf8', hasUtf8Bom(bytes) ? 3 : 0);
  const fault = (error: unknown): Refusal => noJson(bytes, named, error);
  if (text.length > limits.workAtOnceBytesMax) {
    return parseInPieces(text, limits).then(
      (json) => (json instanceof Refusal ? json : { text, json }),
      fault,
    );
  }
  try {
    return { text, json: JSON.parse(text) };
  } catch (error) {
    return fault(error);
  }
}

function noJson(bytes: Buffer, named: readonly string[], error: unknown): Refusal {
  const unknown = unknownEncoding(named);
  if (unknown !== undefined) return unsupportedEncoding(unknown);
  if ([GZIP, ZSTD].some(({ applies }) => applies(bytes, new Set()))) {
    return malformed('the body is gzip inside gzip, or the like: compress it once');
  }
  return malformed(`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
}

function hasUtf8Bom(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

function isUtf16(bytes: Buffer): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
}
