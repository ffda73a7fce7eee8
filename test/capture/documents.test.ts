import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import Ajv from 'ajv/dist/2020.js';
import t from 'tap';
import { EXAMPLES, type Example } from '../../src/capture/api/examples.ts';
import { openApi } from '../../src/capture/api/open-api.ts';
import { allowed, ROUTES } from '../../src/capture/routes.ts';
import { withSections } from '../../tools/capture-tables.ts';
import { capture } from './harness.ts';

const ROOT = join(import.meta.dirname, '../..');
const AGAIN = 'run: node --import tsx tools/capture-docs.ts';

t.test('the documents that are committed are those that the tables give', async (t) => {
  const guide = await readFile(join(ROOT, 'docs/capture.md'), 'utf8');
  t.equal(guide, withSections(guide), AGAIN);
  t.equal(await readFile(join(ROOT, 'openapi.json'), 'utf8'), openApi(), AGAIN);
});

t.test('a section without its markers is missed', async (t) => {
  t.throws(() => withSections('# The capture API'), { message: /has no section <!-- ways in -->/ });
});

t.test('every documented example is answered as documented', async (t) => {
  for (const example of EXAMPLES) {
    const { url, log } = await capture(t);
    const response = await fetch(url + example.target, {
      method: example.method,
      headers: { ...example.headers },
      body: bodyOf(example) ?? null,
    });
    const text = await response.text();
    t.equal(response.status, 200, `${example.title}: ${text.slice(0, 200)}`);
    if (typeof example.answer === 'string') t.ok(text.startsWith(example.answer), example.title);
    else t.same(JSON.parse(text), example.answer, example.title);
    t.equal(log.events().length, example.events, example.title);
    t.ok(ROUTES.some(({ path }) => path === example.route));
  }
});

function bodyOf({ body, isGzipped }: Example): string | Buffer | undefined {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  return isGzipped && text !== undefined ? gzipSync(text) : text;
}

t.test('every documented example fits the schema of its route', async (t) => {
  const ajv = new Ajv.default({ strict: false, validateFormats: false });
  const document = JSON.parse(openApi());
  ajv.addSchema(document, 'api');
  for (const { route, method, body, title } of EXAMPLES) {
    if (body === undefined || typeof body === 'string') continue;
    const path = route.replace(':token', '{token}');
    const { $ref } =
      document.paths[path][method.toLowerCase()].requestBody.content['application/json'].schema;
    t.ok(ajv.validate(`api${$ref}`, body), `${title}: ${ajv.errorsText()}`);
  }
});

t.test('the document of the API has every route, and nothing that it refers to is missing', async (t) => {
  const document = JSON.parse(openApi());
  t.equal(Object.keys(document.paths).length, ROUTES.length);
  for (const route of ROUTES) {
    const path = route.path.replace(':token', '{token}').replace('*', '{script}');
    const methods = Object.keys(document.paths[path]).map((method) => method.toUpperCase());
    t.equal([...methods, 'OPTIONS'].join(', '), allowed(route), route.path);
  }
  for (const [, pointer = ''] of openApi().matchAll(/"\$ref": "#\/([^"]+)"/g)) {
    const found = pointer.split('/').reduce((at, name) => at?.[name], document);
    t.ok(found, pointer);
  }
});
