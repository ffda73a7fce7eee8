import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { redact } from '../../src/redact.ts';
import { findLeaks } from '../../tools/suite-logs.ts';

/** Lines that have been through the logger's fence. */
const WRITTEN = [
  { error: 'postgres://ann:secret@db/x', headers: { authorization: 'Bearer abc' } },
  { error: '{"password":"secret","token":"x"} password=secret', saslPassword: 'secret' },
  { error: 'refused:\nBearer abcdefgh', from: 'ann@shop.example.com', of: 'ph' + 'c_abc' },
].map((fields) => JSON.stringify(redact(fields)));

t.test(
  'secrets are found in what was logged, each with its file, and ids and addresses are none',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-leaks-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const secrets = [
      ['a token', '{"msg":"unknown token ph' + 'c_abc"}'],
      ['a mail address', '{"error":"invalid: \\"ann@shop.example.com\\""}'],
      ['a bearer', '{"authorization":"Bearer abcdefgh"}'],
      ['a password', '{"error":"postgres://ann:secret@10.0.0.1/db is away"}'],
      ['a password', '{"saslPassword":"secret"}'],
      ['a password', '{"error":"redis://:secret@10.0.0.1 is away"}'],
      ['a password', '{"error":"host=db password=secret"}'],
      ['a password', '{"consoleToken":"secret"}'],
      ['a password', JSON.stringify({ error: JSON.stringify({ password: 'secret' }) })],
      ['a bearer', '{"error":"authorization: Basic cGhjX2FiYzo="}'],
      ['a mail address', '{"error":"no such path: /ann%40shop.example.com"}'],
      // What begins a line of a text follows the `n` of its escape.
      ['a token', JSON.stringify({ error: 'unknown:\nph' + 'c_abc' })],
      ['a bearer', JSON.stringify({ error: JSON.stringify('refused:\nBearer abcdefgh') })],
    ];
    const harmless = [
      '{"teamId":1,"distinctId":"person-1","uuid":"01890a5d-ac96-774b-bcce-b302099a8057"}',
      '{"error":"postgres://127.0.0.1:5432/db does not answer","stack":"at x (/app/node_modules/tap@21.8.0/run.js:1:2)"}',
      '{"databaseUrl":"postgres://postgres@127.0.0.1:5432/postgres"}',
      '{"error":"send the header \\"Authorization: Bearer <CONSOLE_TOKEN>\\""}',
      '{"error":"KAFKA_SASL_PASSWORD is a value that does not fit (not shown here)"}',
      ...WRITTEN,
    ];
    await writeFile(join(folder, 'a.log'), `${harmless.join('\n')}\n`);
    t.same(await findLeaks(folder), { lines: harmless.length, leaks: [] });
    await writeFile(join(folder, 'b.log'), secrets.map(([, line]) => `${line}\n`).join(''));
    const { lines, leaks } = await findLeaks(folder);
    t.equal(lines, harmless.length + secrets.length);
    t.same(
      leaks,
      secrets.map(([secret, line]) => ({ file: 'b.log', secret, line })),
    );
  },
);
