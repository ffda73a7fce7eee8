/** A gzip file around bytes as they are: what posthog-js sends, but for the packing, which costs k6 too much. */

/** Latin text only. */
export function gzipStored(text: string): ArrayBuffer {
  const header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
  const blocks = Math.max(1, Math.ceil(text.length / BLOCK_BYTES_MAX));
  const bytes = new Uint8Array(header.length + blocks * 5 + text.length + 8);
  bytes.set(header);
  let at = header.length;
  let crc = 0xffffffff;
  for (let block = 0; block < blocks; block++) {
    const start = block * BLOCK_BYTES_MAX;
    const end = Math.min(text.length, start + BLOCK_BYTES_MAX);
    const length = end - start;
    bytes[at++] = block === blocks - 1 ? 1 : 0;
    at = littleEndian(bytes, at, length, 2);
    at = littleEndian(bytes, at, ~length, 2);
    for (let index = start; index < end; index++) {
      const byte = text.charCodeAt(index);
      bytes[at++] = byte;
      crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
    }
  }
  at = littleEndian(bytes, at, ~crc, 4);
  littleEndian(bytes, at, text.length, 4);
  return bytes.buffer;
}

const BLOCK_BYTES_MAX = 0xffff;

const CRC_TABLE = Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function littleEndian(bytes: Uint8Array, at: number, value: number, size: number): number {
  for (let place = 0; place < size; place++) bytes[at + place] = (value >>> (8 * place)) & 0xff;
  return at + size;
}
