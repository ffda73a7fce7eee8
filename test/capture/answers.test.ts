import t from 'tap';
import { loadProblem } from '../../src/capture/uws.ts';
import { LogFullError } from '../../src/storage/event-log.ts';
import { capture, event, TOKEN } from './harness.ts';

const ORIGIN = 'https://shop.example.com';

t.test('every answer can be read by a page of any origin, errors too', async (t) => {
  const { url, log } = await capture(t);
  const ask = (path: string, body?: unknown, method = 'POST') =>
    fetch(url + path, {
      method,
      headers: { origin: ORIGIN },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const replies = [
    await ask('/e/', event()),
    await ask('/e/?beacon=1', event()),
    await ask('/e/', {}),
    await ask('/e/', event({ api_key: 'phc_nobody' })),
    await ask('/flags/?v=2', { token: TOKEN }),
    await ask(`/array/${TOKEN}/config`, undefined, 'GET'),
    await ask(`/array/${TOKEN}/config.js`, undefined, 'GET'),
    await ask('/e/', undefined, 'GET'),
    await ask('/', undefined, 'GET'),
    await ask('/nowhere'),
    await ask('/nowhere', undefined, 'OPTIONS'),
  ];
  log.gate = () => Promise.reject(new LogFullError('full'));
  replies.push(await ask('/e/', event()));
  t.same(
    replies.map(({ status }) => status),
    [200, 204, 401, 401, 200, 200, 200, 400, 200, 404, 404, 503],
  );
  for (const { url, headers } of replies) {
    t.equal(headers.get('access-control-allow-origin'), ORIGIN, url);
    t.equal(headers.get('access-control-allow-credentials'), 'true', url);
    t.equal(headers.get('access-control-expose-headers'), 'Retry-After', url);
    t.equal(headers.get('vary'), 'Origin', url);
  }
});

t.test('a preflight is 200 and allows what it asks for', async (t) => {
  const { url } = await capture(t);
  for (const path of ['/e/', '/i/v0/e', '/batch/', '/flags/?v=2', `/array/${TOKEN}/config`]) {
    const reply = await fetch(url + path, {
      method: 'OPTIONS',
      headers: {
        origin: ORIGIN,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-custom',
      },
    });
    t.equal(reply.status, 200, path);
    t.equal(reply.headers.get('access-control-allow-origin'), ORIGIN);
    t.equal(reply.headers.get('access-control-allow-headers'), 'content-type,x-custom');
    t.match(reply.headers.get('access-control-allow-methods'), /OPTIONS/);
  }
});

t.test('a client without an origin gets no CORS', async (t) => {
  const { post } = await capture(t);
  const { headers } = await post('/e/', event());
  t.equal(headers.get('access-control-allow-origin'), null);
  t.equal(headers.get('vary'), 'Origin');
});

t.test('a beacon is answered 204 when it was taken, and with its fault when it was not', async (t) => {
  const { post, log } = await capture(t);
  const reply = await post('/e/?beacon=1', event());
  t.same([reply.status, reply.text], [204, '']);
  t.equal(log.events().length, 1);
  t.equal((await post('/e/?beacon=1', event({ event: '' }))).status, 400);
});

t.test('posthog-js gets the least configuration with which it is quiet', async (t) => {
  const { url, post } = await capture(t);
  const config = await (await fetch(`${url}/array/${TOKEN}/config`)).json();
  t.same(config, {
    supportedCompression: ['gzip-js'],
    hasFeatureFlags: false,
    autocapture_opt_out: false,
  });

  const script = await fetch(`${url}/array/${TOKEN}/config.js`);
  t.match(script.headers.get('content-type'), /javascript/);
  const window: Record<string, unknown> = {};
  new Function('window', await script.text())(window);
  t.same(window['_POSTHOG_REMOTE_CONFIG'], { [TOKEN]: { config, siteApps: [] } });

  for (const path of ['/flags', '/flags/', '/flags/?v=2']) {
    const flags = await post(path, { token: TOKEN, distinct_id: 'ann' });
    t.equal(flags.status, 200);
    t.match(JSON.parse(flags.text), { featureFlags: {}, errorsWhileComputingFlags: false });
  }
  t.equal((await fetch(`${url}/array/${encodeURIComponent('");alert(1)//')}/config.js`)).status, 400);
});

t.test('whoever is lost is told what this is and what is here', async (t) => {
  const { url } = await capture(t);
  const about = await (await fetch(url)).text();
  t.match(about, /Tributary capture/);
  const lost = await fetch(`${url}/nowhere/`, { method: 'POST', body: '[]' });
  t.equal(lost.status, 404);
  const text = await lost.text();
  t.match(text, 'there is nothing at /nowhere/');
  for (const path of ['/batch', '/i/v0/e', '/engage', '/flags', '/array/:token/config.js'])
    t.match(text, path);
  const get = await fetch(`${url}/v1/track`);
  t.equal(get.status, 405);
  t.equal(get.headers.get('allow'), 'POST, OPTIONS');
  t.equal((await fetch(`${url}/e/?data=x`, { method: 'HEAD' })).status, 405, 'HEAD brings nothing');
  t.equal((await fetch(url, { method: 'HEAD' })).status, 200);
});

t.test('what comes in and what ends at the door is counted', async (t) => {
  const { post, server } = await capture(t);
  await post('/e/', event());
  await post('/e/', event({ event: '' }));
  await post('/e/', event({ event: '' }));
  await post('/e/', event({ event: '$$heatmap' }));
  t.same(server.door(), { refused: { missing_event_name: 2 }, dead_lettered: {}, discarded: { heatmap: 1 } });
});

t.test('a library that does not load says in one line what the machine lacks', async (t) => {
  const old = "/lib/libc.so.6: version `GLIBC_2.38' not found (required by uws_linux_x64_127.node)";
  const line = loadProblem(old, 'v22.22.2', '2.36');
  t.match(line, /Node 22 and newer need glibc 2\.38.*here is Node 22\.22\.2 with glibc 2\.36\. Use Node 20/);
  t.notMatch(line, '\n');
  t.notMatch(loadProblem('Error: a\nb', 'v20.20.2', '2.36'), '\n');
});
