/**
 * The bytes of a chunk: records of one partition with consecutive offsets, stored under one key.
 *
 * Little-endian: f64 first offset, f64 time of the append, f64 bytes of the partition's earlier chunks, then
 * the records: u32 length of the rest, f64 timestamp, u32 number of headers, key, headers (name, value), value.
 * Strings are u32 length and UTF-8; a null key has the length `NULL_KEY`; the value reaches to the end.
 */
import type { AppendRecord, LogRecord } from '../event-log.ts';
import type { Topic } from '../topics.ts';

export interface ChunkHeader {
  readonly firstOffset: number;
  /** Milliseconds since the epoch. */
  readonly appendedAt: number;
  /** `footprint` of all chunks that this partition ever had before this one. */
  readonly bytesBefore: number;
}

const CHUNK_HEADER_BYTES = 24;
const RECORD_FIXED_BYTES = 4 + 8 + 4 + 4;
const NULL_KEY = 0xffffffff;
const UTF8_BYTES_PER_CHAR_MAX = 3;

const PAGE_BYTES = 4_096;
const INLINE_BYTES_MAX = 1_950;
const KEY_BYTES = 64;

/** Bytes of a record, where its text is ASCII: what the limits count. */
export function recordBytes(record: AppendRecord): number {
  let chars = record.key?.length ?? 0;
  for (const name in record.headers) chars += name.length + (record.headers[name]?.length ?? 0) + 8;
  return RECORD_FIXED_BYTES + chars + record.value.length;
}

/** At most so many bytes does a chunk of these records need. */
export function encodedBytesMax(records: readonly AppendRecord[]): number {
  let bytes = CHUNK_HEADER_BYTES;
  for (const record of records) {
    const { value } = record;
    bytes += (recordBytes(record) - value.length) * UTF8_BYTES_PER_CHAR_MAX;
    bytes += typeof value === 'string' ? Buffer.byteLength(value) : value.length;
  }
  return bytes;
}

/** Bytes on disk of a chunk: whole pages when it is large; small ones lie in pages that are half full. */
export function footprint(chunkBytes: number): number {
  if (chunkBytes <= INLINE_BYTES_MAX) return 2 * (KEY_BYTES + chunkBytes);
  return KEY_BYTES + Math.ceil(chunkBytes / PAGE_BYTES) * PAGE_BYTES;
}

/** Writes a chunk into `space` and returns the part that it fills. */
export function encodeChunk(space: Buffer, header: ChunkHeader, records: readonly AppendRecord[]): Buffer {
  space.writeDoubleLE(header.firstOffset, 0);
  space.writeDoubleLE(header.appendedAt, 8);
  space.writeDoubleLE(header.bytesBefore, 16);
  let at = CHUNK_HEADER_BYTES;
  for (const record of records) at = encodeRecord(space, at, record);
  return space.subarray(0, at);
}

function encodeRecord(space: Buffer, start: number, record: AppendRecord): number {
  let at = space.writeDoubleLE(record.timestamp, start + 4);
  const headerCountAt = at;
  at += 4;
  if (record.key === null) at = space.writeUInt32LE(NULL_KEY, at);
  else at = encodeText(space, at, record.key);
  let headerCount = 0;
  for (const name in record.headers) {
    at = encodeText(space, at, name);
    at = encodeText(space, at, record.headers[name] ?? '');
    headerCount++;
  }
  space.writeUInt32LE(headerCount, headerCountAt);
  if (typeof record.value === 'string') at += space.write(record.value, at, 'utf8');
  else {
    space.set(record.value, at);
    at += record.value.length;
  }
  space.writeUInt32LE(at - start - 4, start);
  return at;
}

function encodeText(space: Buffer, at: number, text: string): number {
  const bytes = space.write(text, at + 4, 'utf8');
  space.writeUInt32LE(bytes, at);
  return at + 4 + bytes;
}

export function decodeHeader(chunk: Buffer): ChunkHeader {
  return {
    firstOffset: chunk.readDoubleLE(0),
    appendedAt: chunk.readDoubleLE(8),
    bytesBefore: chunk.readDoubleLE(16),
  };
}

/**
 * Adds the records of a chunk from offset `from` on to `into`, until that holds `recordsMax`. Their values are
 * views into the chunk.
 */
export function decodeRecords(
  chunk: Buffer,
  at: { readonly topic: Topic; readonly partition: number },
  from: number,
  recordsMax: number,
  into: LogRecord[],
): void {
  let offset = chunk.readDoubleLE(0);
  let start = CHUNK_HEADER_BYTES;
  while (start < chunk.length && into.length < recordsMax) {
    const end = start + 4 + chunk.readUInt32LE(start);
    if (offset >= from) into.push(decodeRecord(chunk, start + 4, end, at.topic, at.partition, offset));
    start = end;
    offset++;
  }
}

function decodeRecord(
  chunk: Buffer,
  start: number,
  end: number,
  topic: Topic,
  partition: number,
  offset: number,
): LogRecord {
  const timestamp = chunk.readDoubleLE(start);
  const headerCount = chunk.readUInt32LE(start + 8);
  let at = start + 12;
  let key: string | null = null;
  if (chunk.readUInt32LE(at) === NULL_KEY) at += 4;
  else {
    key = decodeText(chunk, at);
    at = textEnd(chunk, at);
  }
  const headersAt = at;
  for (let count = 0; count < 2 * headerCount; count++) at = textEnd(chunk, at);
  return {
    topic,
    partition,
    offset,
    key,
    // Most readers never look at them.
    get headers() {
      return decodeHeaders(chunk, headersAt, headerCount);
    },
    timestamp,
    value: chunk.subarray(at, end),
  };
}

function decodeHeaders(chunk: Buffer, start: number, count: number): Record<string, string> {
  const headers: Record<string, string> = {};
  let at = start;
  for (let index = 0; index < count; index++) {
    const name = decodeText(chunk, at);
    at = textEnd(chunk, at);
    headers[name] = decodeText(chunk, at);
    at = textEnd(chunk, at);
  }
  return headers;
}

function decodeText(chunk: Buffer, at: number): string {
  return chunk.toString('utf8', at + 4, textEnd(chunk, at));
}

function textEnd(chunk: Buffer, at: number): number {
  return at + 4 + chunk.readUInt32LE(at);
}
