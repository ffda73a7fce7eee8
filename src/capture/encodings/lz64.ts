/** What lz-string's `compressToBase64` makes, as clients before 2021 sent it. Only a name tells it from base64. */
import { Refusal } from '../refusal.ts';
import { type DecodeLimits, type Encoding, isAnnounced, malformed } from './encoding.ts';

export const LZ64: Encoding = {
  layer: 'text',
  names: ['lz64', 'lz-string'],
  applies: (_, announced) => isAnnounced(LZ64, announced),
  decode: (bytes, limits) => unwrap(bytes.toString('latin1').trim(), limits),
};

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BITS_PER_DIGIT = 6;
const VALUES = new Int8Array(256).fill(-1);
for (const [value, digit] of Array.from(ALPHABET).entries()) VALUES[digit.charCodeAt(0)] = value;

/** The first three codes mean: a new character of 8 bits, one of 16 bits, the end. The others are phrases. */
const NEW_8_BITS = 0;
const NEW_16_BITS = 1;
const END = 2;
const FIRST_PHRASE = 3;

function unwrap(text: string, { lz64CharsMax }: DecodeLimits): { bytes: Buffer } | Refusal {
  const decoded = decompress(text.replace(/=+$/, ''), lz64CharsMax);
  if (decoded === 'too_large') {
    const fault = `the body holds more than ${lz64CharsMax} characters in lz64: send fewer events at once, or gzip`;
    return new Refusal('body_too_large', fault);
  }
  return decoded === undefined ? malformed('the body is not valid lz64') : { bytes: Buffer.from(decoded) };
}

/**
 * An LZ78: every code stands for a phrase that was written before and one character more. So a phrase is kept as its
 * place in the output, and nothing grows faster than the output does.
 */
function decompress(digits: string, charsMax: number): string | undefined | 'too_large' {
  const bits = new BitReader(digits);
  const output = new Output(charsMax);
  const starts: number[] = [];
  const lengths: number[] = [];
  const addPhrase = (start: number, length: number) => {
    starts.push(start);
    lengths.push(length);
  };
  let codeBits = 2;
  /** Where the phrase before stands; of the first one there is none. */
  let before: { readonly start: number; readonly length: number } | undefined;
  while (true) {
    const code = bits.read(codeBits);
    if (code === undefined) return undefined;
    if (code === END) return output.text();
    const start = output.length;
    if (code === NEW_8_BITS || code === NEW_16_BITS) {
      const unit = bits.read(code === NEW_8_BITS ? 8 : 16);
      if (unit === undefined) return undefined;
      output.push(unit);
      addPhrase(start, 1);
    } else {
      const phrase = code - FIRST_PHRASE;
      if (before === undefined || phrase > starts.length) return undefined;
      // The phrase that is only being made: the one before, and its own first character.
      const from = starts[phrase] ?? before.start;
      const length = lengths[phrase] ?? before.length + 1;
      output.repeat(from, length);
    }
    if (output.isFull) return 'too_large';
    if (before !== undefined) addPhrase(before.start, before.length + 1);
    before = { start, length: output.length - start };
    if (FIRST_PHRASE + starts.length >= 2 ** codeBits) codeBits++;
  }
}

/** Reads the bits of base64 digits, each from its highest on; the first bit of a number is its lowest. */
class BitReader {
  readonly #digits: string;
  #at = 0;
  #digit = 0;
  #bitsLeft = 0;

  constructor(digits: string) {
    this.#digits = digits;
  }

  /** A number of up to 31 bits. `undefined` past the end, or at what is no digit. */
  read(count: number): number | undefined {
    let value = 0;
    for (let i = 0; i < count; i++) {
      if (this.#bitsLeft === 0) {
        this.#digit = VALUES[this.#digits.charCodeAt(this.#at++)] ?? -1;
        if (this.#digit < 0) return undefined;
        this.#bitsLeft = BITS_PER_DIGIT;
      }
      this.#bitsLeft--;
      value |= ((this.#digit >> this.#bitsLeft) & 1) << i;
    }
    return value;
  }
}

const FIRST_CHARS = 4_096;

/** UTF-16 units, of which there may be so many. */
class Output {
  readonly #charsMax: number;
  #units = new Uint16Array(FIRST_CHARS);
  #length = 0;

  constructor(charsMax: number) {
    this.#charsMax = charsMax;
  }

  get length(): number {
    return this.#length;
  }

  get isFull(): boolean {
    return this.#length > this.#charsMax;
  }

  at(index: number): number {
    return this.#units[index] ?? 0;
  }

  push(unit: number): void {
    this.#makeRoom(1);
    this.#units[this.#length++] = unit;
  }

  /** Writes what stands at `from` once more; it may end with its own first character. */
  repeat(from: number, length: number): void {
    // One more than is allowed says that it is full.
    const wanted = Math.min(length, this.#charsMax + 1 - this.#length);
    const written = Math.min(wanted, this.#length - from);
    this.#makeRoom(wanted);
    this.#units.copyWithin(this.#length, from, from + written);
    this.#length += written;
    if (written < wanted) this.push(this.at(from));
  }

  #makeRoom(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#units.length) return;
    const larger = new Uint16Array(Math.max(needed, 2 * this.#units.length));
    larger.set(this.#units);
    this.#units = larger;
  }

  text(): string {
    return Buffer.from(this.#units.buffer, 0, 2 * this.#length).toString('utf16le');
  }
}
