/** Kafka's default partitioner: the same key goes to the same partition here and there. */
import { utf8After } from '../utf8.ts';

const MULTIPLIER = 0x5bd1e995;
const SEED = 0x9747b28c;

/** The murmur2 hash of Kafka's Java client, as a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tail = bytes.length & ~3;
  let hash = SEED ^ bytes.length;
  for (let at = 0; at < tail; at += 4) {
    let word = Math.imul(view.getInt32(at, true), MULTIPLIER);
    word = Math.imul(word ^ (word >>> 24), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ word;
  }
  if (tail < bytes.length) {
    for (let at = bytes.length - 1; at >= tail; at--) hash ^= view.getUint8(at) << ((at - tail) * 8);
    hash = Math.imul(hash, MULTIPLIER);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

const bytesOf = utf8After();

/** The partition of a key, hashed as UTF-8. */
export function partitionOf(key: string, partitionCount: number): number {
  return (murmur2(bytesOf(key)) & 0x7fffffff) % partitionCount;
}
