/** What the head of a zstd frame says, and where the frame ends: read before anything is allocated for it. */

export interface ZstdFrame {
  /** Bytes of the frame, checksum included. */
  readonly length: number;
  /** Of what is in it, if it says so. */
  readonly contentBytes: number | undefined;
  /** How far back it refers. */
  readonly windowBytes: number;
}

const MAGIC = 0xfd2fb528;
const HEAD_BYTES_MAX = 18;

export const isZstd = (bytes: Buffer): boolean => bytes.length >= 4 && bytes.readUInt32LE(0) === MAGIC;

/** `undefined`: it is cut off or not well-formed. `bytes` begin with the magic number. */
export function readFrame(bytes: Buffer): ZstdFrame | undefined {
  // Zeros behind a short one, so that its head can be read without asking at every field.
  const head = Buffer.concat([bytes.subarray(0, HEAD_BYTES_MAX), Buffer.alloc(HEAD_BYTES_MAX)]);
  const descriptor = head.readUInt8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0x03] ?? 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const sizeAt = (isSingleSegment ? 5 : 6) + dictionaryBytes;
  const contentBytes = readSize(head, sizeAt, sizeBytes);
  const windowBytes = isSingleSegment ? (contentBytes ?? 0) : windowOf(head.readUInt8(5));
  const end = endOfBlocks(bytes, sizeAt + sizeBytes);
  if (end === undefined) return undefined;
  const length = end + (hasChecksum ? 4 : 0);
  return length > bytes.length ? undefined : { length, contentBytes, windowBytes };
}

function readSize(head: Buffer, at: number, sizeBytes: number): number | undefined {
  if (sizeBytes === 0) return undefined;
  if (sizeBytes === 8) return Number(head.readBigUInt64LE(at));
  return head.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

const BLOCK_HEAD_BYTES = 3;
const REPEATED = 1;

function endOfBlocks(bytes: Buffer, start: number): number | undefined {
  for (let at = start; at + BLOCK_HEAD_BYTES <= bytes.length; ) {
    const block = bytes.readUIntLE(at, BLOCK_HEAD_BYTES);
    const isLast = (block & 1) !== 0;
    const type = (block >> 1) & 3;
    at += BLOCK_HEAD_BYTES + (type === REPEATED ? 1 : block >> 3);
    if (isLast) return at;
  }
  return undefined;
}
