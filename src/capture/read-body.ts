/** Reads a request's body, never more of it than is allowed. */
import type { Cancel, Clock } from '../clock.ts';
import type { Exchange } from './exchange.ts';
import type { InFlight, Share } from './in-flight.ts';
import { Refusal } from './refusal.ts';

const EMPTY = Buffer.alloc(0);

export interface BodyLimits {
  readonly bodyBytesMax: number;
  readonly bodyTimeoutMs: number;
  readonly smallPiecesMax: number;
  readonly pieceBytesMin: number;
  readonly discardedBodyBytesMax: number;
}

/**
 * The bytes as they came, counted in `share` while they come; or why not; or `gone`: the client left before the end,
 * and nothing may be made of the part that came. Call it before the handler returns.
 * `declaredBytes`: the request's `Content-Length`. `tooSlow` is called when the body takes too long; it ends the exchange.
 */
export function readBody(
  exchange: Exchange,
  declaredBytes: number | undefined,
  inFlight: InFlight,
  share: Share,
  limits: BodyLimits,
  clock: Clock,
  tooSlow: () => void,
): Promise<Buffer | Refusal | 'gone'> {
  const early = refuseUnread(declaredBytes, inFlight, limits);
  if (early) return Promise.resolve(early);
  // The library tells of the end of an empty body, except where the head came in several segments.
  if (declaredBytes === 0) return Promise.resolve(EMPTY);
  return new Promise((resolve) => {
    let room: Buffer = EMPTY;
    let length = 0;
    let pieces = 0;
    let stopWaiting: Cancel = () => {};
    const end = (result: Buffer | Refusal | 'gone'): void => {
      stopWaiting();
      resolve(result);
    };
    // After a refusal the exchange is over, and nothing more of the body arrives here.
    exchange.onBody(
      (chunk, isLast) => {
        const needed = length + chunk.byteLength;
        pieces++;
        if (needed > limits.bodyBytesMax) return end(tooLarge(limits.bodyBytesMax, true));
        if (isLast && pieces === 1) {
          if (!inFlight.fits(needed)) return end(overloaded(true));
          share.set(needed);
          // A copy: the bytes of `chunk` are taken away when this returns.
          return end(Buffer.from(Buffer.from(chunk)));
        }
        if (pieces > limits.smallPiecesMax && needed < pieces * limits.pieceBytesMin) return end(crumbs());
        if (needed > room.length) {
          const larger = isLast ? needed : roomFor(needed, room.length, declaredBytes, limits);
          if (!inFlight.fits(larger - share.bytes, share.bytes)) return end(overloaded(true));
          share.set(larger);
          const before = room;
          room = Buffer.allocUnsafeSlow(larger);
          before.copy(room, 0, 0, length);
        }
        room.set(new Uint8Array(chunk), length);
        length = needed;
        if (isLast) return end(room.subarray(0, length));
        if (pieces === 1) stopWaiting = clock.after(limits.bodyTimeoutMs, tooSlow);
      },
      () => end('gone'),
    );
  });
}

/** Twice as much as before, so that a body in crumbs is not copied for each; no more than is declared or allowed. */
function roomFor(
  needed: number,
  before: number,
  declaredBytes: number | undefined,
  { bodyBytesMax }: BodyLimits,
): number {
  return Math.max(needed, Math.min(2 * before, declaredBytes ?? bodyBytesMax));
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

function crumbs(): Refusal {
  return new Refusal('malformed_body', 'the body comes in too many small pieces: send larger ones', true);
}

function tooLarge(bytesMax: number, closes: boolean): Refusal {
  const reason = `the body is larger than ${bytesMax} bytes: send fewer events at once`;
  return new Refusal('body_too_large', reason, closes);
}

export function overloaded(closes = false): Refusal {
  return new Refusal('overloaded', 'too much is being taken in at this moment: send it again later', closes);
}
