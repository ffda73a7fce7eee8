import t from 'tap';
import { jsonLines, type Paint, paintFor, plain as safe, table } from '../../src/cli/terminal.ts';
import { keyTexts, keyValues } from '../../src/cli/values.ts';

const plain: Paint = (_, text) => text;

t.test('rows are aligned, numbers to the right, long and strange values tamed', async (t) => {
  const rows = [
    { event: 'hello', count: 2, note: null },
    { event: 'bye\n\x1b[31m', count: 1000, note: 'x'.repeat(200) },
  ];
  const lines = table(rows, plain).split('\n');
  t.equal(lines[0], 'event            count  note');
  t.equal(lines[1], 'hello                2  NULL');
  t.equal(lines[2], `bye\\n\\u001b[31m   1000  ${'x'.repeat(79)}…`);
});

t.test('no control character of the data reaches the terminal', async (t) => {
  t.equal(safe('a\0\t\x1b[31m\x7f\x9b31m'), 'a\\u0000\\t\\u001b[31m\\u007f\\u009b31m');
  t.equal(safe({ id: '\x9b' }), '{"id":"\\u009b"}');
  t.equal(safe(null), 'NULL');
});

t.test('rows wider than the terminal get a line for each value', async (t) => {
  const rows = [
    { id: 1, text: 'x'.repeat(30) },
    { id: 2, text: 'y' },
  ];
  t.equal(table(rows, plain, 20), `id    1\ntext  ${'x'.repeat(30)}\n\nid    2\ntext  y\n`);
});

t.test('JSON lines are the rows as they are', async (t) => {
  t.equal(jsonLines([{ a: '\n' }, { a: null }]), '{"a":"\\n"}\n{"a":null}\n');
});

t.test('colours are for terminals', async (t) => {
  t.equal(paintFor({ isTTY: false }, false)('red', 'x'), 'x');
  t.equal(paintFor({ isTTY: true }, false)('red', 'x'), '\x1b[31mx\x1b[0m');
  t.equal(paintFor({ isTTY: true }, true)('red', 'x'), 'x');
});

t.test('a value is JSON where it can be read as such, else text', async (t) => {
  t.same(
    keyValues('--set', ['plan=pro', 'age=42', 'tags=["a"]', 'zip="01"', 'url=a=b', 'none=', 'no=null']),
    {
      plan: 'pro',
      age: 42,
      tags: ['a'],
      zip: '01',
      url: 'a=b',
      none: '',
      no: null,
    },
  );
  t.same(keyTexts('a change', ['name=42']), { name: '42' });
  for (const wrong of ['plan', '=pro', '']) {
    t.throws(() => keyValues('--set', [wrong]), { message: `--set is "${wrong}": it takes key=value` });
  }
});
