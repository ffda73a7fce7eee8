/** The bytes that requests hold at this moment: bodies that are read, decoded or appended. */

import { LIMITS } from '../limits.ts';

export class InFlight {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a request that holds so many bytes may hold so many more. */
  fits(bytes: number, held = 0): boolean {
    const isLarge = held + bytes > LIMITS.capture.smallBodyBytesMax;
    const reserved = isLarge ? LIMITS.capture.smallBodiesReservedBytes : 0;
    return this.#bytes + bytes <= this.#bytesMax - reserved;
  }

  /** Negative to give back. Only `Share` calls it. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }
}

/** What one request holds of it. */
export class Share {
  readonly #inFlight: InFlight;
  #bytes = 0;

  constructor(inFlight: InFlight) {
    this.#inFlight = inFlight;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The request now holds so many bytes. */
  set(bytes: number): void {
    this.#inFlight.add(bytes - this.#bytes);
    this.#bytes = bytes;
  }
}
