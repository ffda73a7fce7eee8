import fc from 'fast-check';
import t from 'tap';
import { redact, redactText } from '../src/redact.ts';

t.test('an error of a library is written without what must not be read in a log', async (t) => {
  const cases: readonly (readonly [said: string, written: string])[] = [
    ['connect to postgres://ann:pa$s@word@db:5432/x failed', 'connect to postgres://***@db:5432/x failed'],
    ['refused http://default:pw@ch:8123/?database=a', 'refused http://***@ch:8123/?database=a'],
    ['header authorization: Bearer abc.def-1', 'header authorization: Bearer ***'],
    ['host=db password=hunter2 user=x', 'host=db password=*** user=x'],
    [
      'Row 1: {"token":"phc_abc","distinct_id":"b@example.com"}',
      'Row 1: {"token":"***","distinct_id":"***@***"}',
    ],
    ['no project phc_abc', 'no project ph*_***'],
    ['of ann%40mail.example.com.', 'of ***@***.'],
    ['of änn@bücher.example', 'of ***@***'],
    ['KAFKA_SASL_PASSWORD=hunter2', 'KAFKA_SASL_PASSWORD=***'],
    ['{\\"saslPassword\\":\\"hunter2\\"}', '{\\"saslPassword\\":\\"***\\"}'],
    ['unknown:\\nphc_abc\\nBearer abcdef', 'unknown:\\nph*_***\\nBearer ***'],
    ['key_phc_abc', 'key_ph*_***'],
    ['password=hun\\ter2', 'password=***'],
  ];
  for (const [said, written] of cases) t.equal(redactText(said), written);
});

t.test('what has nothing of the kind stays as it is', async (t) => {
  for (const text of [
    'connect ECONNREFUSED 127.0.0.1:9092',
    'http://127.0.0.1:8000',
    'events_plugin_ingestion 3: offset 12',
    'send the header "Authorization: Bearer <CONSOLE_TOKEN>"',
  ]) {
    t.equal(redactText(text), text);
  }
});

t.test('a field that is called a secret is not shown, whatever it is', async (t) => {
  t.same(redact({ saslPassword: 'hunter2', http: { Authorization: 'x', cookie: 'a=b' }, tokens: 3 }), {
    saslPassword: '***',
    http: { Authorization: '***', cookie: '***' },
    tokens: 3,
  });
});

t.test('what a long text is cut off in is not half shown', async (t) => {
  for (const secret of ['ann@example.com', 'phc_secret1', 'password=hunter2', 'db://user:hunter7@host']) {
    for (let at = 3_950; at < 4_010; at++) {
      const text = redactText(`${'x'.repeat(at)} ${secret} and more`);
      t.notMatch(text, /ann|phc|hunt/, `${secret} at ${at}`);
      t.ok(text.length < 4_050);
    }
  }
});

t.test('no text of a line keeps a token or a mail address, wherever it stands in the fields', async (t) => {
  const secret = fc.constantFrom('phc_secret1', 'ann@example.com', 'db://user:hidden7@');
  const leaf = fc.tuple(fc.string(), secret, fc.string()).map(([a, b, c]) => `${a} ${b} ${c}`);
  const { fields } = fc.letrec((tie) => ({
    fields: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('fields'), { maxLength: 3 }),
      fc.dictionary(fc.oneof(fc.string(), leaf), tie('fields'), { maxKeys: 3 }),
      leaf.map((text) => new Error(text)),
    ),
  }));
  fc.assert(
    fc.property(fields, (value) => !/phc_secret1|ann@example|hidden7/.test(JSON.stringify(redact(value)))),
  );
  t.pass('no counterexample');
});
