import { join } from 'node:path';
import t from 'tap';
import { breaches, VENDORS } from '../tools/import-rules.ts';
import { sourceFiles } from '../tools/source-files.ts';

t.test('every file of the project keeps the import rules', async (t) => {
  const files = sourceFiles(join(import.meta.dirname, '..'));
  t.ok(files.length > 20, 'there are files to check');
  t.same(files.flatMap(breaches), []);
});

t.test('a vendor is found wherever else it is imported, in whatever way', async (t) => {
  for (const [name, home] of Object.entries(VENDORS)) {
    for (const text of [
      `import x from '${name}';`,
      `import type { X } from '${name}';`,
      `export * from '${name}';`,
      `const x = await import('${name}');`,
      `import x from '${name}/sub/path';`,
    ]) {
      t.equal(breaches({ path: 'src/elsewhere.ts', text }).length, 1, text);
      t.same(breaches({ path: home.endsWith('/') ? `${home}inside.ts` : home, text }), []);
    }
  }
});

t.test('each rule finds its breach and says what it is', async (t) => {
  const breached: [path: string, text: string, message: RegExp][] = [
    ['src/event/a.ts', "import { readFile } from 'node:fs';", /nothing from outside/],
    ['src/person/a.ts', "import type { Clock } from '../clock.ts';", /nothing from outside/],
    ['src/event/a.ts', 'export const at = Date.now();', /time, ids and chance/],
    ['src/actors/a.ts', 'const timer = setTimeout(() => {}, 1);', /time, ids and chance/],
    ['src/actors/a.ts', 'const now = new Date();', /time, ids and chance/],
    ['src/storage/log.ts', "import { x } from './embedded/log.ts';", /none of its adapters/],
    ['src/console/a.ts', 'const home = process.env.HOME;', /reads the environment/],
    ['src/console/a.ts', "import { x } from '../../test/x.ts';", /stands alone/],
    ['test/a.ts', '\n'.repeat(401), /401 lines/],
  ];
  for (const [path, text, message] of breached) {
    const found = breaches({ path, text });
    t.equal(found.length, 1, `${path}: ${text.trim()}`);
    t.match(found[0], message);
  }
  t.same(
    breaches({
      path: 'src/actors/a.ts',
      text: "// Date.now() is not for here\nimport { x } from '../event/x.ts';\nexport const at = new Date(x);\n",
    }),
    [],
    'a comment, a neighbour and a date made from an input are no breach',
  );
});
