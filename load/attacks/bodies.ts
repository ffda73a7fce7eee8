/** Bodies that are small on the wire and large behind it. */
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { compressToBase64 } from '../../test/support/lz-string.ts';
import type { Attack, Target } from './attack.ts';
import { askAndNote, event, open, type Part, post, repeat, send, statusesOf } from './wire.ts';

const MIB = 1024 * 1024;

function bomb(
  name: string,
  does: string,
  make: (token: string) => readonly Buffer[],
  { needs, allows }: Pick<Attack, 'needs' | 'allows'>,
  sides = 8,
): Attack {
  return {
    name,
    does,
    async run(target) {
      const bodies = make(target.token);
      await repeat(target, sides, async (turn) => {
        await askAndNote(target, [bodies[turn % bodies.length] ?? '']);
      });
    },
    needs,
    allows,
  };
}

const TOO_LARGE = { needs: ['413'], allows: ['503'] };

const WINDOW_OF_A_MIB = 10 << 3;
const WINDOW_OF_A_GIB = 20 << 3;

/** A frame of blocks that each repeat a byte 128 KiB times. */
function zstdOfOneByte(blocks: number): Buffer {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, WINDOW_OF_A_MIB]);
  const body = Buffer.alloc(blocks * 4);
  for (let i = 0; i < blocks; i++) {
    body.writeUIntLE(128 * 1024 * 8 + 2 + (i === blocks - 1 ? 1 : 0), i * 4, 3);
    body.writeUInt8(0x20, i * 4 + 3);
  }
  return Buffer.concat([head, body]);
}

const blanks = (mib: number): Buffer => Buffer.alloc(mib * MIB, ' ');
const path = '/i/v0/e';

const BOMBS: readonly Attack[] = [
  bomb(
    'gzip-bombs',
    'gzip of 100 MB, of 21 MB, of 1 GB in members of 100 MB, and gzip of gzip',
    () => {
      const once = gzipSync(blanks(100));
      return [
        post(path, once),
        post(path, gzipSync(blanks(21))),
        post(path, Buffer.concat(Array.from({ length: 10 }, () => once))),
        post(path, gzipSync(once)),
      ];
    },
    { needs: ['413', '400'], allows: ['503'] },
  ),
  bomb(
    'deflate-bombs',
    'deflate of 100 MB, with its header and without',
    () => [
      post(path, deflateSync(blanks(100))),
      post(path, deflateRawSync(blanks(100)), ['Content-Encoding: deflate']),
    ],
    TOO_LARGE,
  ),
  bomb(
    'zstd-bombs',
    'zstd of 1 GB, of 12 GB, and with a window of 1 GB',
    () => {
      const window = zstdOfOneByte(8);
      window.writeUInt8(WINDOW_OF_A_GIB, 5);
      return [post(path, zstdOfOneByte(8_192)), post(path, zstdOfOneByte(100_000)), post(path, window)];
    },
    TOO_LARGE,
  ),
  bomb(
    'lz64-bombs',
    'lz64 of 2 MB',
    () => [post(`${path}?compression=lz64`, compressToBase64(' '.repeat(2 * MIB)))],
    TOO_LARGE,
  ),
];

// The token of a small body is looked for before its depth.
const REFUSED = { needs: ['400'], allows: ['401', '413', '503'] };

function json(name: string, does: string, make: (token: string) => readonly Buffer[]): Attack {
  return bomb(name, does, make, REFUSED);
}

const FORM_AND_BASE64 = bomb(
  'large-texts',
  'a form of 19 MB that is percent-encoded, and base64 of 14 MB in base64',
  () => [
    post(path, Buffer.concat([Buffer.from('data='), Buffer.alloc(19 * MIB, '%7B+')])),
    post(path, Buffer.alloc(19 * MIB, 'QUFB')),
  ],
  { needs: ['400'], allows: ['413', '503', 'closed'] },
  // Not for the bytes on the wire, which cost both sides as much.
  2,
);

const JSON_ATTACKS: readonly Attack[] = [
  json(
    'deep-json',
    'JSON nested 5,000 and 500,000 deep: arrays, objects, in properties, and never closed',
    (token) =>
      [5_000, 500_000].flatMap((levels) => [
        post(path, `${'['.repeat(levels)}${']'.repeat(levels)}`),
        post(path, `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`),
        post(
          path,
          `{"api_key":"${token}","batch":[{"event":"x","distinct_id":"x","properties":{"a":${'['.repeat(levels)}${']'.repeat(levels)}}}]}`,
        ),
        post(path, '['.repeat(levels)),
      ]),
  ),
  json('many-keys', '200,000 keys in one object, and gzip of 20 MB of empty objects', () => {
    const keys = Array.from({ length: 200_000 }, (_, i) => `"k${i}":${i}`).join(',');
    const empties = `[${'{},'.repeat(6 * MIB)}{}]`;
    const shapes = Array.from({ length: 400 }, (_, i) => `{"${i}":[${'{},'.repeat(10_000)}{}]}`).join(',');
    return [
      post(path, `{"event":"x","properties":{${keys}}}`),
      post(path, gzipSync(empties)),
      post(path, gzipSync(`{"batch":[${shapes}]}`)),
    ];
  }),
];

const COLLIDING_KEYS = 20_000;

/** Events that are taken, whose keys and values meet in as few places of V8's tables as can be had from outside. */
async function flood(target: Target): Promise<void> {
  const list = (one: (index: number) => string): string =>
    Array.from({ length: COLLIDING_KEYS }, (_, index) => one(index)).join(',');
  const properties = [
    // Indices that share their low bits: the hash of one was its number before Node 20.20.2.
    `{${list((i) => `"${i * 65_536}":1`)}}`,
    `{${list((i) => `"${String(i * 512).padStart(7, '0')}":1`)}}`,
    `{"a":[${list((i) => `"${(i * 4_096) % 16_777_216}"`)}]}`,
    `{${list(() => '"__proto__":1')}}`,
    `{${list((i) => `"__proto__${i}":{"constructor":{"prototype":{"x":1}}}`)
      .slice(0, 200_000)
      .replace(/,[^,]*$/, '')}}`,
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"hasOwnProperty":1,"toString":null}',
  ];
  await repeat(
    target,
    2,
    async (turn) => {
      const { uuid, text } = event(target, properties[turn % properties.length]);
      const { statuses } = await askAndNote(target, [post(path, text)]);
      if (statuses[0] === '200') target.acknowledge(uuid);
    },
    250,
  );
}

/** Sends the head, then the same chunks again and again, until the connection ends. */
async function floodChunks(target: Target, head: string, again: Part): Promise<void> {
  const socket = await open(target);
  if (socket === undefined) return target.note('closed');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  function* parts(): Generator<Part> {
    yield head;
    for (let i = 0; i < 1_000 && !target.isOver(); i++) yield again;
  }
  await send(socket, parts());
  for (let i = 0; i < 100 && !socket.destroyed && !target.isOver(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  target.note(statusesOf(text)[0] ?? (socket.destroyed ? 'closed' : 'still there'));
  socket.destroy();
}

const CHUNKED = 'POST /i/v0/e HTTP/1.1\r\nHost: attacked\r\nTransfer-Encoding: chunked\r\n\r\n';
const FLOODS: readonly (readonly [string, Part])[] = [
  [CHUNKED, Buffer.from('1\r\n \r\n'.repeat(10_000))],
  [CHUNKED, Buffer.from(`10000\r\n${' '.repeat(65_536)}\r\n`)],
  [`${CHUNKED}1;`, Buffer.from('x=y;'.repeat(10_000))],
  [CHUNKED, Buffer.from(`1;${'x'.repeat(1_000)}\r\n \r\n`.repeat(20))],
  [`${CHUNKED}1\r\n \r\n0\r\n`, Buffer.from('X-Trailer: value\r\n'.repeat(1_000))],
  [CHUNKED, Buffer.from('0'.repeat(10_000))],
];

export const BODIES: readonly Attack[] = [
  {
    name: 'chunked-floods',
    does: 'endless chunks of one byte and of 64 KB, chunk extensions, trailers and leading zeros',
    run: (target) =>
      repeat(target, 12, async (turn) => {
        const [head, again] = FLOODS[turn % FLOODS.length] ?? ['', ''];
        await floodChunks(target, head, again);
      }),
    needs: ['400'],
    allows: ['413', '503', '505', 'closed', 'still there'],
  },
  ...BOMBS,
  FORM_AND_BASE64,
  ...JSON_ATTACKS,
  {
    name: 'hash-flooding',
    does: 'keys and strings that collide as far as V8 lets one, and __proto__ in every place',
    run: flood,
    needs: ['200'],
    allows: ['400', '503'],
  },
];
