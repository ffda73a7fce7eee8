import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { QUESTION_ROUTES } from '../../src/capture/question-routes.ts';
import { capture, post, raw, TOKEN } from './harness.ts';

const ORIGIN = 'https://shop.example.com';
const DIST = join(import.meta.dirname, '../../node_modules/posthog-js/dist');

/** What the browser SDK names after its own version, and what its snippet asks for. */
const ASKED_SCRIPTS = [
  'array.js',
  'array.full.js',
  'array.full.es5.js',
  'array.no-external.js',
  'module.js',
  'module.full.js',
  'surveys.js',
  'lazy-recorder.js',
  'posthog-recorder.js',
  'dead-clicks-autocapture.js',
  'web-vitals.js',
  'web-vitals-with-attribution.js',
  'exception-autocapture.js',
  'logs.js',
  'product-tours.js',
  'tracing-headers.js',
];

t.test('every script of posthog-js is there under each of its paths, as it is in the package', async (t) => {
  const { url } = await capture(t);
  for (const name of ASKED_SCRIPTS) {
    const file = await readFile(join(DIST, name));
    for (const path of [`/static/${name}?v=1.449.2`, `/static/1.449.2/${name}`, `/static/1/${name}`]) {
      const reply = await fetch(url + path, { headers: { origin: ORIGIN } });
      const got = Buffer.from(await reply.arrayBuffer());
      t.equal(reply.status, 200, path);
      t.equal(sha(got), sha(file), path);
      t.equal(reply.headers.get('content-type'), 'application/javascript; charset=utf-8');
      t.equal(reply.headers.get('access-control-allow-origin'), ORIGIN);
      t.equal(reply.headers.get('access-control-expose-headers'), 'Retry-After');
      t.equal(reply.headers.get('vary'), 'Origin, Accept-Encoding');
    }
  }
});

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

t.test('a script may be kept, for long when its version is named, and is not sent twice', async (t) => {
  const { url } = await capture(t);
  const cacheOf = async (path: string) => (await fetch(url + path)).headers.get('cache-control');
  t.equal(await cacheOf('/static/array.js'), 'public, max-age=3600');
  t.equal(await cacheOf('/static/1/array.js'), 'public, max-age=3600');
  t.equal(await cacheOf('/static/1.380.0/array.js'), 'public, max-age=3600');
  for (const path of ['/static/array.js?v=1.449.2', '/static/1.449.2/array.js']) {
    t.equal(await cacheOf(path), 'public, max-age=31536000, immutable', path);
  }
  const first = await fetch(`${url}/static/array.js`);
  const etag = first.headers.get('etag') ?? '';
  const again = await fetch(`${url}/static/array.js`, { headers: { 'if-none-match': etag } });
  t.equal(again.status, 304);
  t.equal(await again.text(), '');
  const plain = await fetch(`${url}/static/array.js`, { headers: { 'accept-encoding': 'identity' } });
  t.equal(plain.headers.get('content-encoding'), null);
  t.equal(first.headers.get('content-encoding'), 'gzip');
  t.equal(await plain.text(), await first.text());
});

t.test('nothing but the scripts can be had', async (t) => {
  const { server } = await capture(t);
  const paths = [
    '/static/',
    '/static/../package.json',
    '/static/1.0/../../package.json',
    '/static/%2e%2e/package.json',
    '/static/..%2f..%2fpackage.json',
    '/static/1/2/array.js',
    '/static/integrity.json',
    '/static/array.js.map',
    '/static/array.js%00',
    '/static//etc/passwd',
    '/static/constructor',
    '/static/toolbar.js',
  ];
  for (const path of paths) {
    const reply = await raw(server.port, [`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`], 50);
    t.match(reply.text, /^HTTP\/1\.1 40[04] /, path);
    t.notMatch(reply.text, '"dependencies"', path);
  }
});

t.test('what this is not for is answered with nothing, in the form that clients expect', async (t) => {
  const { url } = await capture(t);
  const answers: Record<string, unknown> = {
    '/api/surveys': { surveys: [], survey_config: null },
    '/api/early_access_features': { earlyAccessFeatures: [] },
    '/api/web_experiments': { experiments: [] },
    '/api/product_tours': { product_tours: [] },
    '/api/feature_flag/local_evaluation': { flags: [], group_type_mapping: {}, cohorts: {} },
    '/flags/definitions': { flags: [], group_type_mapping: {}, cohorts: {} },
  };
  for (const [path, expected] of Object.entries(answers)) {
    for (const slash of ['', '/']) {
      const reply = await fetch(`${url}${path}${slash}?token=${TOKEN}`, { headers: { origin: ORIGIN } });
      t.equal(reply.status, 200, path);
      t.equal(reply.headers.get('access-control-allow-origin'), ORIGIN, path);
      t.same(await reply.json(), expected, path);
    }
  }
});

t.test('flags are none, whoever asks and however', async (t) => {
  const { url } = await capture(t);
  const bodies = [
    JSON.stringify({ token: TOKEN }),
    JSON.stringify({ api_key: TOKEN, sent_at: 'x' }),
    'data=e30%3D',
    '',
  ];
  for (const path of ['/flags', '/flags/', '/flags/?v=2', '/flags/?v=4', '/flags/?v=2&config=true']) {
    for (const body of bodies) {
      const reply = await post(url + path, body, { origin: ORIGIN });
      t.equal(reply.status, 200, path);
      t.same(JSON.parse(reply.text), {
        flags: {},
        featureFlags: {},
        featureFlagPayloads: {},
        errorsWhileComputingFlags: false,
      });
    }
    t.equal((await fetch(url + path)).status, 200, path);
  }
});

t.test('the first version of /decide gives a list of flags, the others a map', async (t) => {
  const { url, post } = await capture(t);
  const flagsOf = async (path: string) => JSON.parse((await post(path, { token: TOKEN })).text).featureFlags;
  t.same(await flagsOf('/decide/'), []);
  t.same(await flagsOf('/decide/?v=1'), []);
  t.same(await flagsOf('/decide/?v=2'), {});
  t.same(await flagsOf('/decide?v=3'), {});
  const config = await (await fetch(`${url}/decide/?v=3`)).json();
  t.match(config, { supportedCompression: ['gzip-js'], sessionRecording: false, autocapture_opt_out: false });
});

t.test('every question has its answer, its preflight and its CORS', async (t) => {
  const { url } = await capture(t);
  for (const { path, methods } of QUESTION_ROUTES) {
    const target = url + path.replace(':token', TOKEN).replace('*', 'array.js');
    for (const method of [...methods, 'OPTIONS']) {
      const reply = await fetch(target, { method, headers: { origin: ORIGIN } });
      t.equal(reply.status, 200, `${method} ${path}`);
      t.equal(reply.headers.get('access-control-allow-origin'), ORIGIN, path);
      t.equal(reply.headers.get('access-control-allow-credentials'), 'true', path);
      t.equal(reply.headers.get('access-control-expose-headers'), 'Retry-After', path);
      t.match(reply.headers.get('vary'), /^Origin/, path);
      await reply.arrayBuffer();
    }
  }
});
