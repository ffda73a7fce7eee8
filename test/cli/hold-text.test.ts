import t from 'tap';
import { clockTime, holdNoticeText, quoted } from '../../src/cli/hold-text.ts';
import { asDistinctId } from '../../src/event/ids.ts';

const until = new Date(2026, 0, 2, 12, 0, 5, 999);
const notice = { distinctId: asDistinctId('Alice'), untilMs: until.getTime(), ids: 2, events: 3 };

t.test('a notice says for whom events are held, until when, why, and what ends it', async (t) => {
  t.equal(
    holdNoticeText(notice, 60),
    'Held until 12:00:05: events of "Alice", whom nobody knows yet. ' +
      'An $identify or alias that names this id, or time, lets them go on ' +
      '(3 events of 2 ids wait; BUFFER_CONVERSION_SECONDS=60, 0 turns this off).',
  );
  t.match(
    holdNoticeText({ ...notice, ids: 1, events: 1 }, 5),
    '(1 event of 1 id waits; BUFFER_CONVERSION_SECONDS=5,',
  );
});

t.test('the time is the local one', async (t) => {
  t.equal(clockTime(new Date(2026, 5, 7, 3, 4, 5).getTime()), '03:04:05');
});

t.test('an id is in quotes, short, and cannot move the cursor', async (t) => {
  t.equal(quoted('Alice'), '"Alice"');
  t.equal(quoted('a"b\n\x1b[2J\x7f\x9b'), '"a\\"b\\n\\u001b[2J\\u007f\\u009b"');
  t.equal(quoted('x'.repeat(40)), `"${'x'.repeat(40)}"`);
  t.equal(quoted('😀'.repeat(41)), `"${'😀'.repeat(39)}…"`, 'no character is cut in two');
});
