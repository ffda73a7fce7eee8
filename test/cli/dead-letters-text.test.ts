import t from 'tap';
import {
  placeText,
  replayState,
  resultText,
  sinceTime,
  summaryText,
  wholeText,
} from '../../src/cli/dead-letters-text.ts';
import type { Paint } from '../../src/cli/terminal.ts';
import type { ShownLetter } from '../../src/console/dead-letters.ts';
import { REPLAY_OUTCOMES, type ReplayResult } from '../../src/console/dead-letters-replay.ts';
import { DEAD_LETTER_REASONS } from '../../src/event/outcome.ts';

const paint: Paint = (_, text) => text;
const NOTED = { noted_at: '2026-01-02T03:04:05.678Z', partition: 2, offset: 17 };
const NOWHERE = { ...NOTED, partition: null, offset: null };

const LETTER: ShownLetter = {
  id: '0195a1b2-0000-5000-8000-000000000001',
  event_uuid: '0195a1b2-0000-7000-8000-000000000002',
  at: '2026-01-02 03:04:05.678000',
  reason: 'refused_by_postgres',
  stage: 'save',
  event: 'signed up',
  distinct_id: 'ann\u001b[2J',
  team_id: '1',
  detail: 'it breaks no_poison',
  source: 'events_plugin_ingestion:2:9',
  replay: null,
  raw_payload: '{"event":"signed up"}',
  has_row: false,
  impossible: null,
};
const shown = (changes: Partial<ShownLetter>): string =>
  wholeText({ ...LETTER, ...changes }, paint).join('\n');

t.test('show says what a reason means, what to do, and whether it can still go back', async (t) => {
  t.equal(
    shown({}),
    `refused_by_postgres
event           signed up
distinct id     ann\\u001b[2J
uuid            0195a1b2-0000-7000-8000-000000000002
project         1
given up        2026-01-02 03:04:05.678 UTC, at save
came from       events_plugin_ingestion:2:9
dead letter     0195a1b2-0000-5000-8000-000000000001
what was wrong  it breaks no_poison
what it means   Postgres refused what the event does to its person or group. It changed nothing.
what to do      Mend what Postgres complains about (a constraint, a type), then replay.
row             ClickHouse has no row of this event
replay          npm run dead-letters -- replay 0195a1b2-0000-7000-8000-000000000002
what was kept   {"event":"signed up"}
`,
  );
  for (const reason of DEAD_LETTER_REASONS)
    t.match(shown({ reason }), /what it means {3}\w.*\nwhat to do {6}\w/, reason);
  t.match(shown({ reason: 'of_a_later_version' }), /does not know the reason/);
  t.match(shown({ impossible: 'too large' }), /replay +cannot go back: too large/);
  t.match(shown({ has_row: true }), /replay +not needed/);
  t.match(shown({ replay: NOTED }), /replay +went back on 2026-01-02T.*, as events_plugin_ingestion:2:17/);
  t.match(shown({ replay: NOWHERE }), /may or may not have gone back \(docs\/operations.md\)/);
  t.match(shown({ replay: NOWHERE, has_row: true }), /its row says that it went back/);
  t.match(shown({ raw_payload: 'x'.repeat(9_000) }), /x… \(9000 characters; --json shows all\)/);
});

t.test('each outcome of a replay has its words, and those in doubt a hint', async (t) => {
  const result = (outcome: ReplayResult['outcome']): ReplayResult => {
    const { id, event_uuid, reason, event, distinct_id } = LETTER;
    const replay = outcome === 'replayed' ? NOTED : null;
    return {
      id,
      event_uuid,
      reason,
      event,
      distinct_id,
      outcome,
      detail: outcome === 'replayed' ? '' : 'why',
      replay,
    };
  };
  const lines = REPLAY_OUTCOMES.map((outcome) => resultText(result(outcome), paint));
  t.equal(new Set(lines).size, REPLAY_OUTCOMES.length);
  t.match(resultText(result('replayed'), paint), /^went back +.*\(events_plugin_ingestion:2:17\)$/);
  t.match(resultText(result('impossible'), paint), /^cannot go back +.*\(why\)$/);
  t.same(summaryText([]), ['no dead letters']);
  t.same(summaryText([result('replayed'), result('replayed'), result('impossible')]), [
    '2 went back, 1 cannot go back',
  ]);
  t.match(summaryText([result('unknown')]), ['1 unknown', /not tried again/]);
  t.same([null, NOTED, NOWHERE].map(replayState), ['', '2026-01-02 03:04:05', 'unknown']);
  t.same(['events_plugin_ingestion:2:9', 'clickhouse_person:1:2'].map(placeText), [
    '2:9',
    'clickhouse_person:1:2',
  ]);
});

t.test('--since takes a time, or how long ago', async (t) => {
  const now = Date.UTC(2026, 0, 2, 12);
  t.equal(sinceTime('30m', now), '2026-01-02T11:30:00.000Z');
  t.equal(sinceTime('2h', now), '2026-01-02T10:00:00.000Z');
  t.equal(sinceTime('3d', now), '2025-12-30T12:00:00.000Z');
  t.equal(sinceTime('2026-01-31', now), '2026-01-31T00:00:00.000Z');
  for (const text of ['', 'h', '2y', 'yesterday']) t.throws(() => sinceTime(text, now), /it takes 30m/, text);
});
