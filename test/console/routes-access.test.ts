import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { request } from 'node:http';
import t, { type Test } from 'tap';
import { type ConsoleSources, ROUTES, type Route, startConsole } from '../../src/console/server.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const TOKEN = 'correct-horse';
const WRONG = 'correct-hors3';

/** Whatever is asked for is given: only access is looked at. */
const SOURCES: ConsoleSources = {
  health: () => [],
  ready: async () => [],
  metrics: async () => '',
  books: async () => ({
    acknowledged: 0,
    waiting: 0,
    held: 0,
    in_flight: 0,
    rows: 0,
    dead_lettered: {},
    dropped: {},
    imbalance: 0,
    spooled: 0,
    door: { refused: {}, dead_lettered: {}, discarded: {} },
  }),
  held: () => undefined,
  deadLetters: async () => ({ letters: [] }),
  replayDeadLetters: async () => ({ results: [], next: null }),
  query: async () => '',
};

/** What shows what was sent, or changes something. A new route has to be put in one of the two. */
const DATA = ['/_held', '/_dead_letters', '/_dead_letters/replay', '/sql'];
const OPEN = ['/', '/_health', '/_ready', '/_metrics', '/_ledger', '/openapi.json'];

async function start(t: Test, token: string | undefined) {
  const console = await startConsole({
    host: '127.0.0.1',
    port: 0,
    token,
    roles: ['worker'],
    captureUrl: undefined,
    sources: SOURCES,
    logger: quietLogger,
  });
  t.teardown(() => console.close());
  return console.port;
}

/** What the sockets of this process's servers say of their peers, who all are on this machine. */
let peer = '127.0.0.1';
const CHANNEL = 'net.server.socket';
function disguise(message: unknown): void {
  if (typeof message !== 'object' || message === null || !('socket' in message)) return;
  Object.defineProperty(message.socket, 'remoteAddress', { value: peer });
}
subscribe(CHANNEL, disguise);
t.teardown(() => unsubscribe(CHANNEL, disguise));

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(port: number, route: Route, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { path, method } = route;
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
    asked.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.on('error', reject);
    asked.end(route.method === 'POST' ? 'SELECT 1' : undefined);
  });
}

t.test('every route either shows data or is open', async (t) => {
  t.same(ROUTES.map(({ path }) => path).sort(), [...DATA, ...OPEN].sort());
  t.same(
    ROUTES.filter(({ showsData }) => showsData === true)
      .map(({ path }) => path)
      .sort(),
    [...DATA].sort(),
  );
});

const HOSTS = [
  'localhost',
  '127.0.0.1:8010',
  '[::1]:8010',
  'evil.example',
  '10.0.0.1',
  '127.0.0.1.evil.example',
];
const HOSTS_OF_THIS_MACHINE = 3;
const PEERS = ['127.0.0.1', '::ffff:127.0.0.1', '10.0.0.7', '::ffff:10.0.0.7', '2001:db8::7'];
const PEERS_OF_THIS_MACHINE = 2;
const BEARERS = [undefined, 'Bearer', `Bearer ${WRONG}`, `Basic ${TOKEN}`, `Bearer ${TOKEN}`];

t.test(
  'each route, from each peer, with and without a token, under each name, with each Authorization',
  async (t) => {
    for (const token of [undefined, TOKEN]) {
      const port = await start(t, token);
      for (const route of ROUTES) {
        for (const [from, address] of PEERS.entries()) {
          peer = address;
          for (const [index, host] of HOSTS.entries()) {
            for (const authorization of BEARERS) {
              const headers = { host, ...(authorization === undefined ? {} : { authorization }) };
              const { status, body } = await ask(port, route, headers);
              const isHere = from < PEERS_OF_THIS_MACHINE && index < HOSTS_OF_THIS_MACHINE;
              const isRight = token === undefined ? isHere : authorization === `Bearer ${TOKEN}`;
              const refused = token === undefined ? 403 : 401;
              const expected = OPEN.includes(route.path) || isRight ? 'shown' : refused;
              const found = [401, 403].includes(status) ? status : 'shown';
              const name = `${route.path} ${token ? 'token' : 'none'} ${address} ${host} ${authorization}`;
              t.equal(found, expected, name);
              if (found !== 'shown') t.match(body, 'CONSOLE_TOKEN', 'it says what to do');
            }
          }
        }
      }
    }
  },
);
