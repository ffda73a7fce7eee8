/** gzip, and deflate in both forms that are called so: zlib's, and without its header. */
import { gunzip, gunzipSync, inflate, inflateRaw, inflateRawSync, inflateSync } from 'node:zlib';
import { Queue } from '../queue.ts';
import type { Refusal } from '../refusal.ts';
import {
  type DecodeLimits,
  type Encoding,
  inflatedTooLarge,
  isAnnounced,
  malformed,
  tooManyWait,
  type Unwrapped,
} from './encoding.ts';

interface Inflater {
  readonly name: string;
  readonly atOnce: typeof gunzipSync;
  readonly aside: typeof gunzip;
}

const GZIP_INFLATER: Inflater = { name: 'gzip', atOnce: gunzipSync, aside: gunzip };
const ZLIB_INFLATER: Inflater = { name: 'deflate', atOnce: inflateSync, aside: inflate };
const RAW_INFLATER: Inflater = { name: 'deflate', atOnce: inflateRawSync, aside: inflateRaw };

export const GZIP: Encoding = {
  layer: 'compression',
  names: ['gzip', 'gzip-js', 'x-gzip'],
  applies: (bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b,
  decode: (bytes, limits) => unwrap(GZIP_INFLATER, bytes, limits),
};

export const DEFLATE: Encoding = {
  layer: 'compression',
  names: ['deflate'],
  applies: (bytes, announced) => isZlib(bytes) || isAnnounced(DEFLATE, announced),
  decode: (bytes, limits) => unwrap(isZlib(bytes) ? ZLIB_INFLATER : RAW_INFLATER, bytes, limits),
};

/** zlib's header for windows of 32 KB at each of its four levels; no JSON, form or base64 begins like this. */
function isZlib(bytes: Buffer): boolean {
  const level = bytes[1];
  return bytes[0] === 0x78 && (level === 0x01 || level === 0x5e || level === 0x9c || level === 0xda);
}

function unwrap(
  { name, atOnce, aside }: Inflater,
  bytes: Buffer,
  limits: DecodeLimits,
): Promise<Unwrapped | Refusal> | Unwrapped | Refusal {
  const { inflateAtOnceBytesMax, inflateWaitingMax, inflatedBytesMax } = limits;
  const fault = (error: unknown): Refusal => {
    if (isTooLarge(error)) return inflatedTooLarge(inflatedBytesMax);
    return malformed(
      `the body is not valid ${name}: ${error instanceof Error ? error.message : String(error)}`,
    );
  };
  if (bytes.length <= inflateAtOnceBytesMax) {
    try {
      return { bytes: atOnce(bytes, { maxOutputLength: inflateAtOnceBytesMax }) };
    } catch (error) {
      if (!isTooLarge(error)) return fault(error);
    }
  }
  const options = { maxOutputLength: inflatedBytesMax, chunkSize: inflateAtOnceBytesMax };
  const inflated = queue.run(
    inflateWaitingMax,
    () =>
      new Promise<Unwrapped | Refusal>((resolve) => {
        aside(bytes, options, (error, inflated) => resolve(error ? fault(error) : { bytes: inflated }));
      }),
  );
  return inflated ?? tooManyWait(name);
}

/** One after the other: each may take as much memory as a body may have. */
const queue = new Queue();

function isTooLarge(error: unknown): boolean {
  return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}
