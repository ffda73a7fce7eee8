/** Bytes of short texts. */

const CHARS_MAX = 512;
const BYTES_PER_CHAR_MAX = 3;

/**
 * Gives the prefix and then the text in UTF-8; the bytes are there until the next call. For what is asked many times in
 * one turn of the event loop: while V8 marks the heap, every buffer that is made may cost 5 to 10 ms of marking at once.
 */
export function utf8After(prefix: Uint8Array = new Uint8Array()): (text: string) => Buffer {
  const space = Buffer.allocUnsafeSlow(prefix.length + CHARS_MAX * BYTES_PER_CHAR_MAX);
  space.set(prefix);
  return (text) =>
    text.length <= CHARS_MAX
      ? space.subarray(0, prefix.length + space.write(text, prefix.length))
      : Buffer.concat([prefix, Buffer.from(text)]);
}
