/** Bytes that are no request, or hardly one. */
import type { Chance } from './chance.ts';

const TARGETS = ['/e', '/batch', '/i/v1/analytics/events', '/v1/batch', '/flags', '/static/array.js', '/'];
const JSON_BODY = '{"api_key":"phc_tributary_dev","event":"raw","distinct_id":"raw"}';

type Kind = (chance: Chance) => readonly [Buffer | string, string];

const KINDS: readonly Kind[] = [
  (chance) => [chance.bytes(chance.between(1, 2_000)), 'random bytes'],
  (chance) => [`${request(chance, [])}${' '.repeat(chance.integer(3))}`, 'no Host'],
  (chance) => [
    request(chance, ['Host: x', `Content-Length: ${chance.pick(LENGTHS)}`]),
    'an odd Content-Length',
  ],
  (chance) => [request(chance, ['Host: x', 'Content-Length: 5', 'Content-Length: 50']), 'two lengths'],
  (chance) => [
    request(chance, ['Host: x', 'Content-Length: 5', 'Transfer-Encoding: chunked']),
    'a length and chunks',
  ],
  (chance) => [
    request(chance, ['Host: x', `Transfer-Encoding: ${chance.pick(CODINGS)}`]),
    'an odd transfer encoding',
  ],
  (chance) => [
    `${request(chance, ['Host: x', 'Transfer-Encoding: chunked'], chance.pick(CHUNKS))}`,
    'odd chunks',
  ],
  (chance) => [request(chance, ['Host: x', ...many(chance.between(90, 300))]), 'many headers'],
  (chance) => [
    request(chance, ['Host: x', `X: ${'x'.repeat(chance.between(8_000, 80_000))}`]),
    'a large header',
  ],
  (chance) => [request(chance, ['Host: x', chance.pick(LINES)]), 'an odd header line'],
  (chance) => [`${chance.pick(FIRST_LINES)}\r\nHost: x\r\n\r\n`, 'an odd first line'],
  (chance) => [
    request(chance, ['Host: x', 'Expect: 100-continue', `Content-Length: ${JSON_BODY.length}`]),
    'Expect',
  ],
  (chance) => [request(chance, ['Host: x', 'Upgrade: websocket', 'Connection: Upgrade']), 'an upgrade'],
  () => ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'HTTP/2'],
  () => [Buffer.from('16030100c6010000c20303', 'hex'), 'TLS'],
  (chance) => [request(chance, ['Host: x']).replaceAll('\r\n', '\n'), 'no carriage returns'],
  (chance) => ['\r\n'.repeat(chance.between(1, 200)), 'empty lines'],
];

const LENGTHS = [
  '-1',
  '+5',
  '0x10',
  '1e3',
  ' 5 5',
  '99999999999999999999',
  '18446744073709551616',
  'abc',
  '5;',
  '4294967296',
  '00000000005',
  '',
];
const CODINGS = ['gzip, chunked', 'chunked, chunked', 'identity', 'CHUNKED', 'xchunked', 'chunked;q=1', ''];
const CHUNKS = [
  'zz\r\n{}\r\n0\r\n\r\n',
  'ffffffffffffffff\r\n{}',
  '-1\r\n{}\r\n0\r\n\r\n',
  '2;x=1\r\n{}\r\n0\r\n\r\n',
  '2\r\n{}x\r\n0\r\n\r\n',
  '0\r\nX-Trailer: 1\r\n\r\n',
  '2\n{}\n0\n\n',
  '00000000000000000002\r\n{}\r\n0\r\n\r\n',
];
const LINES = [
  ': empty',
  'no colon',
  'sp ace: x',
  'name : x',
  ' folded: x',
  'x: a\r\n b',
  'x: \u0000',
  'x: \u0001\u0002\u007f',
  'ключ: x',
  `${'n'.repeat(5_000)}: x`,
  'Host: y',
  'x:',
  'x:\tx',
];
const FIRST_LINES = [
  'GET / HTTP/1.0',
  'GET / HTTP/9.9',
  'GET /',
  'GET  / HTTP/1.1',
  'GET / HTTP/1.1 ',
  '/ GET HTTP/1.1',
  'GET http://localhost/e HTTP/1.1',
  'GET * HTTP/1.1',
  'CONNECT x:80 HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET /\u0000 HTTP/1.1',
  'GET /e?data=\u00ff HTTP/1.1',
  `GET /${'x'.repeat(40_000)} HTTP/1.1`,
  `${'M'.repeat(3_000)} / HTTP/1.1`,
  '\u0000\u0000 / HTTP/1.1',
];

const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `x-${index}: ${index}`);

function request(chance: Chance, lines: readonly string[], body = chance.oneIn(2) ? JSON_BODY : ''): string {
  return `POST ${chance.pick(TARGETS)} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
}

export function noise(chance: Chance): readonly [Buffer, string] {
  const [bytes, what] = chance.pick(KINDS)(chance);
  return [Buffer.from(bytes), what];
}
