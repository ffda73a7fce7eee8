import t from 'tap';
import { Answers } from '../../load/support/answers.ts';
import { judge } from '../../load/support/balance.ts';
import type { Fates } from '../../load/support/fates.ts';
import type { Books } from '../../src/books.ts';

const EMPTY: Books = {
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
};

/** Ten requests with two events each: 16 rows, 1 dead letter, 3 of which the tables have nothing. */
const FATES: Fates = {
  rows: 16,
  deadLetters: 1,
  neither: 3,
  unanswered: 0,
  rowsInAll: 16,
  deadLettersInAll: 1,
  missing: ['a', 'b', 'c'],
  problems: [],
};

function answered(): Answers {
  const answers = new Answers();
  for (let number = 0; number < 10; number++) answers.add(200, 0, number, 2);
  return answers;
}

const run = (before: Books | undefined) => ({
  id: '0123456789ab',
  script: 'steady',
  before,
  answers: answered(),
});

const books = (dropped: Books['dropped'], more: Partial<Books> = {}): Books => ({
  ...EMPTY,
  acknowledged: 20,
  rows: 16,
  dead_lettered: { row_too_large: 1 },
  dropped,
  ...more,
});

t.test('what is neither a row nor a dead letter has to be a drop of this run', async (t) => {
  const balanced = judge(run(EMPTY), books({ transform: 3 }), FATES, true);
  t.same([balanced.lost, balanced.problems], [0, []]);
  t.equal(judge(run(EMPTY), books({ transform: 2 }), FATES, true).lost, 1);
  t.equal(judge(run(EMPTY), books({ duplicate: 3 }), FATES, true).lost, 3, 'a duplicate has its row');
  t.equal(judge(run({ ...EMPTY, dropped: { transform: 3 } }), books({ transform: 3 }), FATES, true).lost, 3);
});

t.test('books that do not agree with the tables are a problem, where nobody else sends events', async (t) => {
  const problems = (after: Books, sumsMatter: boolean) =>
    judge(run(EMPTY), after, FATES, sumsMatter).problems;
  const wrong = [
    books({ transform: 3 }, { rows: 17 }),
    books({ transform: 3 }, { acknowledged: 19 }),
    books({ transform: 3 }, { dead_lettered: {} }),
  ];
  for (const after of wrong) {
    t.not(problems(after, true).length, 0);
    t.same(problems(after, false), []);
  }
  t.not(problems(books({ transform: 3 }, { imbalance: 1 }), false).length, 0);
});

t.test('without the books before the run, that is said', async (t) => {
  const { notes, problems } = judge(run(undefined), books({ transform: 3 }), FATES, true);
  t.same([notes.length, problems], [1, []]);
});

t.test('answers are kept by step and number, in any order', async (t) => {
  const answers = new Answers();
  answers.add(200, 3, 5_000, 20);
  answers.add(413, 3, 1, 1);
  answers.add(0, 3, 2, 1);
  answers.add(200, 0, 0, 1);
  t.same(answers.steps, [0, 3]);
  t.equal(answers.acknowledged, 21);
  t.same(
    [5_000, 1, 2].map((number) => answers.acknowledgedOf(3, number)),
    [20, 0, 0],
  );
  t.same(
    [5_000, 1, 2].map((number) => answers.isRefused(3, number)),
    [false, true, false],
  );
});
