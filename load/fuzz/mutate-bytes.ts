/** Changes bytes, whatever they say. */
import type { Chance } from './chance.ts';

const INSERTED: readonly Buffer[] = [
  Buffer.from([0xff]),
  Buffer.from([0xc3, 0x28]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xf4, 0x90, 0x80, 0x80]),
  Buffer.from([0x00]),
  Buffer.from('\\ud800'),
  Buffer.from('\\u0000'),
  Buffer.from('\\u00'),
  Buffer.from('{'),
  Buffer.from(']'),
  Buffer.from(','),
  Buffer.from('"'),
  Buffer.from(' \t\r\n'),
  Buffer.from('"__proto__":{"x":1},'),
  Buffer.from('"event":"twice",'),
];

/** A changed copy, and what was done. */
export function mutateBytes(bytes: Buffer, chance: Chance): readonly [Buffer, string] {
  const at = chance.integer(bytes.length + 1);
  switch (chance.integer(8)) {
    case 0:
    case 1: {
      const copy = Buffer.from(bytes);
      const flips = chance.between(1, 4);
      for (let flip = 0; flip < flips && copy.length > 0; flip++) {
        const place = chance.integer(copy.length);
        copy.writeUInt8(copy.readUInt8(place) ^ (1 << chance.integer(8)), place);
      }
      return [copy, `${flips} bits flipped`];
    }
    case 2:
      return [bytes.subarray(0, at), `cut after ${at} bytes`];
    case 3: {
      const length = chance.between(1, 32);
      return [
        Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
        `${length} bytes out at ${at}`,
      ];
    }
    case 4:
      return [
        Buffer.concat([bytes.subarray(0, at), chance.bytes(chance.between(1, 8)), bytes.subarray(at)]),
        `bytes put in at ${at}`,
      ];
    case 5:
      return [Buffer.concat([bytes, bytes.subarray(at)]), `its end from ${at} on twice`];
    default: {
      const inserted = chance.pick(INSERTED);
      return [
        Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]),
        `${JSON.stringify(inserted.toString('latin1'))} put in at ${at}`,
      ];
    }
  }
}
