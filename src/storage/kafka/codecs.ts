/** What others may have compressed with: kafkajs reads only gzip by itself. We write without compression. */
import { decompress as unzstd } from 'fzstd';
import kafkajs from 'kafkajs';
import lz4 from 'lz4js';
import snappy from 'snappyjs';

/** The Java client puts its Snappy blocks into the frame of xerial: a header, then blocks with their lengths. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEADER_BYTES = 16;
const LENGTH_BYTES = 4;

/** Once is enough, again does no harm. */
export function registerCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs;
  CompressionCodecs[CompressionTypes.Snappy] = () => reader('snappy', unsnappy);
  CompressionCodecs[CompressionTypes.LZ4] = () => reader('lz4', (data) => lz4.decompress(data));
  CompressionCodecs[CompressionTypes.ZSTD] = () => reader('zstd', (data) => unzstd(data));
}

function reader(name: string, decompress: (data: Buffer) => Uint8Array) {
  return {
    async compress(): Promise<never> {
      throw new Error(`Nothing is written with ${name}.`);
    },
    async decompress(data: Buffer): Promise<Buffer> {
      const plain = decompress(data);
      return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
    },
  };
}

function unsnappy(data: Buffer): Buffer {
  if (!data.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return snappy.uncompress(data);
  const blocks: Buffer[] = [];
  for (let at = XERIAL_HEADER_BYTES; at < data.length; ) {
    const end = at + LENGTH_BYTES + data.readUInt32BE(at);
    blocks.push(snappy.uncompress(data.subarray(at + LENGTH_BYTES, end)));
    at = end;
  }
  return Buffer.concat(blocks);
}
