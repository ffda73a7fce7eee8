/** The documents point at what is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const ROW = /^\| (?<verb>\w+) \| `(?<file>[^`]+)` \| `(?<name>\w+)` \|$/;

t.test(
  'every step of an event is in the file and the function that docs/architecture.md names',
  async (t) => {
    const table = /\| --- \| --- \| --- \|\n(?<rows>(?:\|.*\n)+)/.exec(read('docs/architecture.md'))
      ?.groups?.['rows'];
    const lines = (table ?? '').trim().split('\n');
    for (const line of lines) {
      const { file = '', name = '' } = ROW.exec(line)?.groups ?? {};
      if (!t.ok(file !== '' && existsSync(join(ROOT, file)), `${line} names a file`)) continue;
      const defined = new RegExp(
        `^(?:export )?(?:async )?(?:function|class|const) ${name}\\b|^  (?:async )?#?${name}\\(`,
        'm',
      );
      t.match(read(file), defined, `${file} defines ${name}`);
    }
    const verbs = lines.map((line) => ROW.exec(line)?.groups?.['verb']);
    const required = ['decoded', 'held', 'folded', 'written', 'committed', 'loaded'];
    t.same(
      required.filter((verb) => !verbs.includes(verb)),
      [],
      'no step of the way is left out',
    );
  },
);

const LINK = /\[[^\]]*\]\((?<target>[^)\s]+)\)/g;
const PATH = /`(?<target>(?:src|test|tools|docs|bench)\/[\w./-]*)`/g;

t.test('every link and path of the documents leads somewhere', async (t) => {
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
  const documents = ['README.md', 'CHANGELOG.md', ...inDocs.map((name) => `docs/${name}`)];
  for (const document of documents.filter((path) => path.endsWith('.md'))) {
    const text = read(document);
    for (const { groups } of text.matchAll(LINK)) {
      const [target = ''] = (groups?.['target'] ?? '').split('#');
      if (/^https?:/.test(target) || target === '') continue;
      t.ok(existsSync(join(ROOT, dirname(document), target)), `${document} links to ${target}`);
    }
    for (const { groups } of text.matchAll(PATH)) {
      t.ok(existsSync(join(ROOT, groups?.['target'] ?? '')), `${document} names ${groups?.['target']}`);
    }
  }
});

t.test('every npm script that the README shows exists', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const shown = [
    ...read('README.md').matchAll(/npm (?:run (?:-s )?(?<name>[a-z][a-z-]*)|(?<own>start|test)\b)/g),
  ].map(({ groups }) => groups?.['name'] ?? groups?.['own'] ?? '');
  const unknown = shown.filter((name) => !Object.hasOwn(scripts, name));
  t.same(unknown, []);
});
