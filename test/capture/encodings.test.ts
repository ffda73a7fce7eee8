/** Decoders that face hostile bytes: what others have compressed, and what bounds them. */
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { decodeBody } from '../../src/capture/decode.ts';
import { Refusal } from '../../src/capture/refusal.ts';
import { LIMITS } from '../../src/limits.ts';
import { compressToBase64 } from '../support/lz-string.ts';
import { zstdFrame } from '../support/zstd.ts';

const MIB = 1024 * 1024;

async function decode(bytes: Buffer | string, name = '', limits = {}): Promise<string> {
  const decoded = await decodeBody(Buffer.from(bytes), [name], { ...LIMITS.capture, ...limits });
  return decoded instanceof Refusal ? `${decoded.reason}: ${decoded.text}` : decoded.text;
}

t.test('what lz-string has compressed is read', async (t) => {
  const compressed =
    'N4IgpgbmB2AuIC4QGcCWBzaBXADiANCACarKyrQDGsA+qkYiAIbTQHM6o0DWYAnoxwALSjVgAnVACMssJuL40ikdjnEB7HGHHkwyRKFhgAHvCRCAlwBsr6gASBgMjuBeDcAAe3aaev3n778gAXwCgA==';
  t.equal(
    await decode(compressed, 'lz64'),
    '{"event":"signup","distinct_id":"ann","api_key":"phc_tributary_dev","properties":{"text":"héllo ☃ 😀 aaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}',
  );
  t.match(await decode('Q===', 'lz64'), /holds no JSON/, 'the empty text');
});

t.test('every JSON comes back from lz64, and no bytes do harm', async () => {
  await fc.assert(
    fc.asyncProperty(fc.json({ stringUnit: 'binary' }), async (json) => {
      const text = `[${json}]`;
      return (await decode(compressToBase64(text), 'lz-string')) === text;
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.base64String(), async (text) => (await decode(text, 'lz64')).length > 0),
  );
});

t.test('an lz64 body that would be larger than is allowed ends at the limit', async (t) => {
  const bomb = compressToBase64(JSON.stringify(' '.repeat(100_000)));
  t.ok(bomb.length < 2_000, `${bomb.length} bytes`);
  const limits = { lz64CharsMax: 50_000 };
  t.match(await decode(bomb, 'lz64', limits), /^body_too_large: .*more than 50000 characters in lz64/);
  t.match(await decode('!!!', 'lz64'), /^malformed_body: the body is not valid lz64/);
});

/** By zstd 1.5.4, level 19. */
const ZSTD =
  'KLUv/QRoZQIAEgYSEaDt3D2urX7kVtEEwMIUqBpDtX7XnYf3WO00/C1Dt425dnC5Rkw3YCTsoCipPXyuEtzGwbvHww0LWJrhY3PwFhvxezjslXsaAFZ+Pmw=';
const JSON_TEXT =
  '{"event":"signup","distinct_id":"ann","api_key":"phc_tributary_dev","properties":{"plan":"free"}}';

t.test('what zstd has compressed is read, announced or not', async (t) => {
  const bytes = Buffer.from(ZSTD, 'base64');
  t.equal(await decode(bytes), JSON_TEXT);
  t.equal(await decode(bytes, 'zstd'), JSON_TEXT);
  const large = JSON.stringify({ x: 'x'.repeat(MIB) });
  t.equal(await decode(zstdFrame(Buffer.from(large))), large, 'of many blocks');
});

/** A frame of blocks that each repeat a byte 128 KiB times, with a window of 1 KiB times a power of two. */
function repeatingFrame(blocks: number, windowPower: number): Buffer {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, windowPower << 3]);
  const block = (isLast: boolean) => {
    const bytes = Buffer.from([0, 0, 0, 0x20]);
    bytes.writeUIntLE(128 * 1024 * 8 + 2 + (isLast ? 1 : 0), 0, 3);
    return bytes;
  };
  return Buffer.concat([head, ...Array.from({ length: blocks }, (_, i) => block(i === blocks - 1))]);
}

t.test('zstd is bounded by what it says and by what comes out', async (t) => {
  t.match(await decode(repeatingFrame(8, 10)), /^malformed_body: the body is not JSON/, 'one MiB of spaces');
  t.match(await decode(repeatingFrame(100_000, 10)), /^body_too_large: .*larger than 20971520 bytes/);
  t.match(await decode(repeatingFrame(1, 20)), /^body_too_large/, 'a window of a GiB is not made');
  const lying = zstdFrame(Buffer.from(JSON_TEXT));
  lying.writeUInt32LE(0xffffffff, 5);
  t.match(await decode(lying), /^body_too_large/, 'nor a content of 4 GiB');
});

t.test('zstd that is cut, doubled or spoilt is refused with its fault', async (t) => {
  const frame = Buffer.from(ZSTD, 'base64');
  t.match(await decode(frame.subarray(0, -8)), /^malformed_body: .*its frame is cut off/);
  t.match(await decode(Buffer.concat([frame, frame])), /^malformed_body: .*more than one zstd frame/);
  const spoilt = Buffer.from(frame);
  spoilt.fill(0xff, 12, 20);
  t.match(await decode(spoilt), /^malformed_body: /);
  t.equal(await decode(frame), JSON_TEXT, 'and the next one is read');
});

t.test('zstd that takes too long is given up, and the next one is read', async (t) => {
  // The thread's copy alone takes longer than that.
  const slow = zstdFrame(Buffer.from(JSON.stringify('x'.repeat(16 * MIB))));
  t.match(await decode(slow, '', { zstdTimeoutMs: 1 }), /^overloaded: .*more than 1 ms/);
  t.match(await decode(slow, '', { zstdWaitingMax: 0 }), /^overloaded: too many/);
  t.equal(await decode(Buffer.from(ZSTD, 'base64')), JSON_TEXT);
});

t.test('deflate is bounded as gzip is', async (t) => {
  const bomb = deflateSync(Buffer.alloc(100 * MIB, ' '));
  t.match(await decode(bomb), /^body_too_large: the decoded body is larger/);
  t.match(await decode(Buffer.from([0x78, 0x9c, 1, 2, 3])), /^malformed_body: the body is not valid deflate/);
});

t.test('no bytes under any name make a decoder throw', async () => {
  const name = fc.constantFrom('', 'gzip', 'deflate', 'zstd', 'lz64', 'base64');
  const start = fc.constantFrom('', '1f8b', '789c', '28b52ffd', '28b52ffd20', '646174613d');
  await fc.assert(
    fc.asyncProperty(name, start, fc.uint8Array({ maxLength: 60 }), async (name, start, bytes) => {
      const decoded = await decode(Buffer.concat([Buffer.from(start, 'hex'), bytes]), name);
      return typeof decoded === 'string';
    }),
    { numRuns: 500 },
  );
});
