/** What each encoding of a body is to the loop that takes them off, and what bounds them all. */
import { Refusal } from '../refusal.ts';

export interface DecodeLimits {
  readonly inflatedBytesMax: number;
  readonly inflateAtOnceBytesMax: number;
  readonly inflateWaitingMax: number;
  /** Characters of what was compressed with lz-string: it is decoded at once. */
  readonly lz64CharsMax: number;
  readonly zstdTimeoutMs: number;
  readonly zstdWaitingMax: number;
}

/** Encodings of one layer stand for one another; each layer is taken off a bounded number of times. */
export type Layer = 'compression' | 'form' | 'text';

export interface Encoding {
  readonly layer: Layer;
  /** What SDKs call it in `Content-Encoding` and in `compression=`, lower case. */
  readonly names: readonly string[];
  /** Mostly told from the bytes alone: SDKs and proxies leave the names out, or leave them in. */
  applies(bytes: Buffer, announced: ReadonlySet<string>): boolean;
  decode(bytes: Buffer, limits: DecodeLimits): Promise<Unwrapped | Refusal> | Unwrapped | Refusal;
}

export interface Unwrapped {
  readonly bytes: Buffer;
  /** An encoding that the wrapping named for what is inside. */
  readonly announces?: string;
}

export const isAnnounced = ({ names }: Encoding, announced: ReadonlySet<string>): boolean =>
  names.some((name) => announced.has(name));

export const malformed = (text: string): Refusal => new Refusal('malformed_body', text);

export function inflatedTooLarge(bytesMax: number): Refusal {
  const text = `the decoded body is larger than ${bytesMax} bytes: send fewer events at once`;
  return new Refusal('body_too_large', text);
}

export function tooManyWait(name: string): Refusal {
  return new Refusal('overloaded', `too many ${name} bodies wait to be decoded: send it again later`);
}
