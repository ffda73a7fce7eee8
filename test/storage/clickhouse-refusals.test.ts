import t from 'tap';
import { withoutRows } from '../../src/storage/clickhouse/refusals.ts';

t.test('of a failed insert it is said what failed, and nothing of the rows', async (t) => {
  for (const [said, told] of [
    ['connect ECONNREFUSED 127.0.0.1:8123', 'connect ECONNREFUSED 127.0.0.1:8123'],
    ['Table default.events does not exist.', 'Table default.events does not exist.'],
    [
      `Cannot parse input: expected '"' before: '{"plan":"it's Ann's"}\\n': (at row 3)`,
      'Cannot parse input: expected …: (at row 3)',
    ],
    ['Too large.\n\nRow 1:\nColumn 0, name: uuid, parsed text: Ann', 'Too large.…'],
    ['Cannot read all of "Ann', 'Cannot read all of …'],
  ]) {
    t.equal(withoutRows(said ?? ''), told ?? '');
  }
});
