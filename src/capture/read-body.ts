/** Reads a request's body, never more of it than is allowed. */
import type { Exchange } from './exchange.ts';
import type { InFlight, Share } from './in-flight.ts';
import { Refusal } from './refusal.ts';

export interface BodyLimits {
  readonly bodyBytesMax: number;
  readonly discardedBodyBytesMax: number;
}

/**
 * The bytes as they came, counted in `share` while they come; or why not; or `gone`: the client left before the end,
 * and nothing may be made of the part that came. Call it before the handler returns.
 * `declaredBytes`: the request's `Content-Length`.
 */
export function readBody(
  exchange: Exchange,
  declaredBytes: number | undefined,
  inFlight: InFlight,
  share: Share,
  limits: BodyLimits,
): Promise<Buffer | Refusal | 'gone'> {
  const early = refuseUnread(declaredBytes, inFlight, limits);
  if (early) return Promise.resolve(early);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    // After a refusal the exchange is over, and nothing more of the body arrives here.
    exchange.onBody(
      (chunk, isLast) => {
        const bytes = share.bytes + chunk.byteLength;
        if (bytes > limits.bodyBytesMax) return resolve(tooLarge(limits.bodyBytesMax, true));
        if (!inFlight.fits(chunk.byteLength)) return resolve(overloaded(true));
        share.set(bytes);
        // A copy: the bytes of `chunk` are taken away when this returns.
        const copy = Buffer.from(Buffer.from(chunk));
        if (isLast && chunks.length === 0) return resolve(copy);
        chunks.push(copy);
        if (isLast) resolve(Buffer.concat(chunks));
      },
      () => resolve('gone'),
    );
  });
}

/**
 * What is plain from the declared length. The body then runs past unread, so that a client that sends all of it
 * before it listens sees the answer; a much too large one ends with its connection.
 */
function refuseUnread(
  declaredBytes: number | undefined,
  inFlight: InFlight,
  limits: BodyLimits,
): Refusal | undefined {
  const closes = declaredBytes === undefined || declaredBytes > limits.discardedBodyBytesMax;
  if (declaredBytes !== undefined && declaredBytes > limits.bodyBytesMax) {
    return tooLarge(limits.bodyBytesMax, closes);
  }
  return inFlight.fits(declaredBytes ?? 1) ? undefined : overloaded(closes);
}

function tooLarge(bytesMax: number, closes: boolean): Refusal {
  const reason = `the body is larger than ${bytesMax} bytes: send fewer events at once`;
  return new Refusal('body_too_large', reason, closes);
}

function overloaded(closes: boolean): Refusal {
  return new Refusal('overloaded', 'too much is being taken in at this moment: send it again later', closes);
}
