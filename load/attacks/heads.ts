/** Requests whose heads are not as they should be. */
import type { Attack, Target } from './attack.ts';
import { askAndNote, event, type Part, post, repeat } from './wire.ts';

const KIB = 1024;

/** Each in turn; a whole event stands behind each head, and is none if the head says so. */
async function lie(target: Target): Promise<void> {
  await repeat(target, 8, async (turn) => {
    const lies = LIES(event(target).text);
    const lie = lies[turn % lies.length] ?? [];
    await askAndNote(target, [['POST /i/v0/e HTTP/1.1', 'Host: attacked', ...lie].join('\r\n')]);
  });
}

const LIES = (body: string): readonly (readonly string[])[] => {
  const { length } = body;
  const chunked = `${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  return [
    [`Content-Length: ${length - 5}`, '', body],
    ['Content-Length: -5', '', body],
    ['Content-Length: +5', '', body],
    ['Content-Length: 0x20', '', body],
    ['Content-Length: 5,5', '', body],
    ['Content-Length: 1e3', '', body],
    ['Content-Length: 99999999999', '', body],
    ['Content-Length: 18446744073709551621', '', body],
    ['Content-Length: 5', `Content-Length: ${length}`, '', body],
    [`Content-Length: ${length}`, 'Transfer-Encoding: chunked', '', chunked],
    ['Transfer-Encoding: chunked', 'Content-Length: 3', '', chunked],
    ['Transfer-Encoding: chunked', '', `-1\r\n${body}\r\n0\r\n\r\n`],
    ['Transfer-Encoding: chunked', '', `FFFFFFFFFFFFFFFFFF\r\n${body}\r\n0\r\n\r\n`],
  ];
};

/** What is echoed, or might be: each with something that would begin a header of its own. */
const INJECTED = [
  '\r\nX-Injected: 1',
  '\rX-Injected: 1',
  '\nX-Injected: 1',
  '\0\nX-Injected: 1',
  '\u010d\u010aX-Injected: 1',
];
const ESCAPED = [
  '%0d%0aX-Injected:%201',
  '%0aX-Injected:1',
  '%E5%98%8D%E5%98%8AX-Injected:1',
  '"};alert(1);//',
  '</script>',
];

function injections(): Part[] {
  const get = (path: string, headers: readonly string[] = []): Buffer =>
    Buffer.from([`GET ${path} HTTP/1.1`, 'Host: attacked', ...headers, '', ''].join('\r\n'), 'latin1');
  return [
    ...INJECTED.flatMap((bad) => [
      Buffer.from(
        `OPTIONS /i/v0/e HTTP/1.1\r\nHost: attacked\r\nAccess-Control-Request-Headers: a${bad}\r\n\r\n`,
        'latin1',
      ),
      get('/array/phc_x/config', [`Origin: https://a${bad}`]),
      post('/i/v1/analytics/events', '{}', [`PostHog-Request-Id: a${bad}`]),
    ]),
    ...ESCAPED.flatMap((bad) => [
      get(`/array/${bad}/config.js`),
      get(`/array/${bad}/config`),
      get(`/static/${bad}/array.js`),
      get(`/static/array.js?v=${bad}`),
      get(`/decide?v=${bad}&callback=${bad}`),
      get(`/nowhere/${bad}`),
      get('/array/phc_x/config', [`Origin: ${bad}`]),
    ]),
  ];
}

const INJECTIONS = injections();

async function inject(target: Target): Promise<void> {
  await repeat(target, INJECTIONS.length, async (turn) => {
    const request = INJECTIONS[turn % INJECTIONS.length] ?? '';
    const { text } = await askAndNote(target, [request]);
    const [head = '', body = ''] = text.split('\r\n\r\n');
    const isScript = /^content-type: application\/javascript/im.test(head);
    if (/^x-injected/im.test(head.replaceAll('\r', '\n'))) target.note('a header was injected');
    if (isScript && /alert|<\/script>/.test(body.slice(0, 1_000))) target.note('a script was injected');
  });
}

export const HEADS: readonly Attack[] = [
  {
    name: 'many-headers',
    does: '150 headers',
    secondsMin: 16,
    run: (target) =>
      repeat(target, 100, async () => {
        const headers = Array.from({ length: 150 }, (_, i) => `X-Header-${i}: value`);
        await askAndNote(target, [post('/i/v0/e', event(target).text, headers)]);
      }),
    needs: ['closed'],
    allows: ['431'],
  },
  {
    name: 'oversize-headers',
    does: 'a header of 40 KB, or of 1 MB, at once or in pieces',
    run: (target) =>
      repeat(target, 16, async (turn) => {
        const size = turn % 2 === 0 ? 40 * KIB : KIB * KIB;
        const request = post('/i/v0/e', event(target).text, [`Cookie: ${'c'.repeat(size)}`]);
        await askAndNote(target, [request.subarray(0, 2_000), request.subarray(2_000)]);
      }),
    // What is too large is told by the pieces in which it comes: up to 512 KB at once may pass, and are an event.
    needs: ['431'],
    allows: ['200', '400', 'closed'],
  },
  {
    name: 'lying-length',
    does: 'a Content-Length that is too short, negative, huge, no number, there twice, or with chunks',
    run: lie,
    needs: ['400', '413'],
    allows: ['503', '505', 'closed'],
  },
  {
    name: 'header-injection',
    secondsMin: 16,
    does: 'line ends and scripts in whatever is echoed: origin, asked headers, token, version, path, request id',
    run: inject,
    needs: ['200', '400', '404', 'closed'],
    allows: ['401', '405', '413', '503', '505', 'silence'],
  },
];
