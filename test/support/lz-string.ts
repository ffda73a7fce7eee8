/** lz-string's `compressToBase64`, as clients before 2021 had it: only tests still write this. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

export function compressToBase64(text: string): string {
  const codes = new Map<string, number>();
  const unwritten = new Set<string>();
  const bits: number[] = [];
  const write = (value: number, count: number) => {
    for (let i = 0; i < count; i++) bits.push((value >> i) & 1);
  };
  let codeBits = 2;
  let untilWider = 2;
  const countDown = () => {
    if (--untilWider > 0) return;
    untilWider = 2 ** codeBits;
    codeBits++;
  };
  const emit = (phrase: string) => {
    if (unwritten.delete(phrase)) {
      const unit = phrase.charCodeAt(0);
      write(unit < 256 ? 0 : 1, codeBits);
      write(unit, unit < 256 ? 8 : 16);
      countDown();
    } else {
      write(codes.get(phrase) ?? 0, codeBits);
    }
    countDown();
  };
  const define = (phrase: string) => codes.set(phrase, codes.size + 3);
  let phrase = '';
  for (const unit of text.split('')) {
    if (!codes.has(unit)) {
      define(unit);
      unwritten.add(unit);
    }
    if (codes.has(phrase + unit)) {
      phrase += unit;
      continue;
    }
    emit(phrase);
    define(phrase + unit);
    phrase = unit;
  }
  if (phrase !== '') emit(phrase);
  write(2, codeBits);
  return base64(bits);
}

/** At least one bit is padding. */
function base64(bits: readonly number[]): string {
  let digits = '';
  for (let at = 0; at <= bits.length; at += 6) {
    let value = 0;
    for (let i = 0; i < 6; i++) value = value * 2 + (bits[at + i] ?? 0);
    digits += ALPHABET[value];
  }
  return digits.padEnd(Math.ceil(digits.length / 4) * 4, '=');
}
