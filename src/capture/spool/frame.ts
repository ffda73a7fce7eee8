/**
 * A record on the spool's disk: `magic (4) | length (4) | CRC-32 of the payload (4) | payload`, numbers little-endian.
 * The payload: `length of the head (4) | head (JSON: topic, key, headers, timestamp) | value`.
 */
import { crc32 } from 'node:zlib';
import type { AppendRecord } from '../../storage/event-log.ts';

/** Its first byte is none of UTF-8: what clients send never looks like the beginning of a record. */
const MAGIC = Buffer.from([0xff, 0x54, 0x52, 0x42]);
const FRAME_HEAD_BYTES = 12;
const HEAD_LENGTH_BYTES = 4;

type Head = Omit<AppendRecord, 'value'>;

export function encodeRecord({ value, ...head }: AppendRecord): Buffer {
  const headText = JSON.stringify(head satisfies Head);
  const headBytes = Buffer.byteLength(headText);
  const valueBytes = typeof value === 'string' ? Buffer.byteLength(value) : value.byteLength;
  const payloadBytes = HEAD_LENGTH_BYTES + headBytes + valueBytes;
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payloadBytes);
  MAGIC.copy(frame);
  frame.writeUInt32LE(payloadBytes, 4);
  frame.writeUInt32LE(headBytes, FRAME_HEAD_BYTES);
  const valueAt = FRAME_HEAD_BYTES + HEAD_LENGTH_BYTES + headBytes;
  frame.write(headText, FRAME_HEAD_BYTES + HEAD_LENGTH_BYTES);
  if (typeof value === 'string') frame.write(value, valueAt);
  else frame.set(value, valueAt);
  frame.writeUInt32LE(crc32(frame.subarray(FRAME_HEAD_BYTES)), 8);
  return frame;
}

/** Views into `payload`. */
export function decodeRecord(payload: Buffer): AppendRecord {
  const valueAt = HEAD_LENGTH_BYTES + payload.readUInt32LE(0);
  const head: Head = JSON.parse(payload.toString('utf8', HEAD_LENGTH_BYTES, valueAt));
  return { ...head, value: payload.subarray(valueAt) };
}

export interface Scanned {
  /** Payloads of the records that are whole, in order; views. */
  readonly payloads: readonly Buffer[];
  /** Where the last of them ends. */
  readonly end: number;
  /** Bytes before that which belong to no whole record. */
  readonly damagedBytes: number;
}

/** Every record that is whole; what is damaged in between is passed over. */
export function scan(bytes: Buffer): Scanned {
  const payloads: Buffer[] = [];
  let end = 0;
  let damagedBytes = 0;
  for (let at = 0; at >= 0; ) {
    const payload = payloadAt(bytes, at);
    if (payload === undefined) {
      at = bytes.indexOf(MAGIC, at + 1);
      continue;
    }
    payloads.push(payload);
    damagedBytes += at - end;
    at += FRAME_HEAD_BYTES + payload.length;
    end = at;
  }
  return { payloads, end, damagedBytes };
}

function payloadAt(bytes: Buffer, at: number): Buffer | undefined {
  const from = at + FRAME_HEAD_BYTES;
  if (
    from + HEAD_LENGTH_BYTES > bytes.length ||
    bytes.compare(MAGIC, 0, MAGIC.length, at, at + MAGIC.length) !== 0
  ) {
    return undefined;
  }
  const length = bytes.readUInt32LE(at + 4);
  // A disk that never got the rest may show zeros, and the CRC of nothing is zero.
  if (length < HEAD_LENGTH_BYTES || from + length > bytes.length) return undefined;
  const payload = bytes.subarray(from, from + length);
  return crc32(payload) === bytes.readUInt32LE(at + 8) ? payload : undefined;
}
