/** The bytes that requests hold at this moment: bodies that are read, decoded or appended. */

export class InFlight {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  fits(bytes: number): boolean {
    return this.#bytes + bytes <= this.#bytesMax;
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
