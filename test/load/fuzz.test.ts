import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { sendAgain } from '../../load/fuzz/again.ts';
import { AnswerReader } from '../../load/fuzz/answer.ts';
import { type Input, inputFromText, inputToText } from '../../load/fuzz/input.ts';
import { judgeAnswers } from '../../load/fuzz/judge.ts';
import { makeInput } from '../../load/fuzz/make.ts';
import { REFUSAL_REASONS } from '../../src/event/outcome.ts';
import { fuzzFor } from './fuzz-for.ts';

t.setTimeout(600_000);

t.test('a few seconds of hostile input: the process lives, and every event is accounted for', (t) =>
  fuzzFor(t, 6),
);

t.test('the same seed gives the same inputs, and another one others', (t) => {
  const texts = (seed: number): string[] =>
    Array.from({ length: 200 }, (_, number) => inputToText(makeInput(seed, number)));
  t.same(texts(7), texts(7));
  const shared = texts(8).filter((text, number) => text === texts(7)[number]);
  t.same(shared, []);
  t.end();
});

t.test('an input can be written to a file, read back, and sent again', async (t) => {
  const input = makeInput(7, REFUSAL_REASONS.length + 20);
  t.same(inputFromText(inputToText(input)), input);
  t.throws(() => inputFromText('{}'), /no input of the fuzzer/);
  const file = join(t.testdir(), 'input.json');
  await writeFile(file, inputToText(makeInput(7, 0)));
  const result = await sendAgain(file);
  t.same(result.problems, []);
  t.match(result, { what: 'for malformed_body', answers: [{ status: 400 }] });
});

t.test('what must not be is a problem', (t) => {
  const input: Input = {
    seed: 1,
    number: 1,
    what: '',
    parts: [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    requests: [{ isHead: false, isV1: false, events: [] }],
    mustAnswer: true,
    ending: 'wait',
  };
  const problemsOf = (text: string, mustAnswer = true): readonly string[] => {
    const reader = new AnswerReader([false]);
    reader.add(Buffer.from(text));
    reader.end();
    const { answers, fault } = reader;
    return judgeAnswers({ ...input, mustAnswer }, { answers, end: 'closed', fault }).problems;
  };
  const answer = (status: string, more = ''): string =>
    `HTTP/1.1 ${status}\r\n${more}Content-Length: 2\r\n\r\nok`;
  t.same(problemsOf(answer('200 OK')), []);
  t.same(problemsOf(answer('503 Service Unavailable', 'Retry-After: 5\r\n')), []);
  for (const bad of ['202 Accepted', '429 Too Many Requests', '500 Internal Server Error', '505 X']) {
    t.match(problemsOf(answer(bad)), [/the answer \d{3}/], bad);
  }
  t.match(problemsOf(answer('503 Service Unavailable')), [/without Retry-After/]);
  t.match(problemsOf(''), [/without an answer/]);
  t.match(problemsOf('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok', false), [/not whole/]);
  t.match(problemsOf('nonsense\r\n\r\n', false), [/no HTTP/]);
  t.same(problemsOf('HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n<h1>', false), [], 'for what is no HTTP');
  t.end();
});
