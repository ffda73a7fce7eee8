/** Dead letters in words: what each reason means, what to do about it, and what became of a replay. */
import type { ReplayRecord, ShownLetter } from '../console/dead-letters.ts';
import type { ReplayResult } from '../console/dead-letters-replay.ts';
import { DEAD_LETTER_REASONS, type DeadLetterReason } from '../event/outcome.ts';
import { parseTimestamp } from '../event/timestamp.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';
import { UsageError } from './command.ts';
import { type Paint, plain } from './terminal.ts';

interface Advice {
  readonly means: string;
  readonly remedy: string;
}

const ADVICE: Readonly<Record<DeadLetterReason, Advice>> = {
  malformed_record: {
    means:
      'A record of events_plugin_ingestion is no event: something else than capture wrote it, or damaged it.',
    remedy: 'Find what else writes to that topic.',
  },
  stage_failed: {
    means: 'A stage of the pipeline threw an error on this event: a defect. It changed nothing.',
    remedy: 'Report what was wrong; replay it with a version that mends it.',
  },
  merge_too_large: {
    means: 'The event merges a person with more distinct ids than one merge may move. It changed nothing.',
    remedy:
      'Look whether one id stands for everybody (a default that clients send); make that person smaller, then replay.',
  },
  lost_by_retention: {
    means: 'The record had left the log before it was read.',
    remedy: 'Keep topics longer than your longest outage.',
  },
  row_too_large: {
    means:
      "The event's row, with its person and groups, takes more than one message may have. Its person was changed.",
    remedy: 'Send less in one event, or keep less on the person.',
  },
  refused_by_postgres: {
    means: 'Postgres refused what the event does to its person or group. It changed nothing.',
    remedy: 'Mend what Postgres complains about (a constraint, a type), then replay.',
  },
  refused_by_clickhouse: {
    means: 'ClickHouse refused the row. Its person was changed as it should be.',
    remedy:
      'Mend what ClickHouse complains about, then replay: the row is made again, and nothing is folded twice.',
  },
  refused_by_log: {
    means:
      'Kafka refused the record of the event for its own sake (its size, its time). It never reached the worker.',
    remedy:
      'Mend what Kafka complains about: max.message.bytes and message.timestamp.after.max.ms of events_plugin_ingestion.',
  },
};

/** Everything about one. */
export function wholeText(letter: ShownLetter, paint: Paint): readonly string[] {
  const { reason, event, distinct_id, event_uuid, at, id, team_id, stage, detail, source } = letter;
  const advice = adviceOf(reason);
  const facts: readonly [string, string][] = [
    ['event', event],
    ['distinct id', distinct_id],
    ['uuid', event_uuid],
    ['project', team_id],
    ['given up', `${at.slice(0, 23)} UTC, at ${stage}`],
    ['came from', source],
    ['dead letter', id],
    ['what was wrong', detail],
    ['what it means', advice.means],
    ['what to do', advice.remedy],
    ['row', letter.has_row ? 'ClickHouse has the row of this event' : 'ClickHouse has no row of this event'],
    ['replay', replayText(letter)],
    ['what was kept', cut(letter.raw_payload)],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `${paint('dim', name.padEnd(width))}  ${plain(value)}`);
  return [paint('bold', plain(reason)), ...lines, ''];
}

const KEPT_CHARS_MAX = 2_000;

const cut = (text: string): string =>
  text.length <= KEPT_CHARS_MAX
    ? text
    : `${text.slice(0, KEPT_CHARS_MAX)}… (${text.length} characters; --json shows all)`;

function adviceOf(reason: string): Advice {
  const known = DEAD_LETTER_REASONS.find((one) => one === reason);
  return known === undefined
    ? { means: 'This version does not know the reason.', remedy: '' }
    : ADVICE[known];
}

function replayText({ replay, impossible, has_row, event_uuid }: ShownLetter): string {
  if (replay !== null && replay.partition !== null) {
    return `went back on ${replay.noted_at}, as ${INGESTION_TOPIC}:${replay.partition}:${replay.offset}`;
  }
  if (replay !== null) {
    return `noted on ${replay.noted_at}, and then a process died or the log did not answer: ${
      has_row ? 'its row says that it went back' : 'it may or may not have gone back (docs/operations.md)'
    }`;
  }
  if (impossible !== null) return `cannot go back: ${impossible}`;
  return has_row ? 'not needed: its row is there' : `npm run dead-letters -- replay ${event_uuid}`;
}

/** `partition:offset`, and the topic where it is another one than that of events. */
export const placeText = (source: string): string => source.replace(`${INGESTION_TOPIC}:`, '');

/** In a table. */
export function replayState(replay: ReplayRecord | null): string {
  if (replay === null) return '';
  return replay.partition === null ? 'unknown' : replay.noted_at.slice(0, 19).replace('T', ' ');
}

const OUTCOMES: Readonly<Record<ReplayResult['outcome'], readonly [string, Parameters<Paint>[0]]>> = {
  ready: ['would go back', 'green'],
  replayed: ['went back', 'green'],
  replayed_already: ['went back before', 'yellow'],
  has_row: ['not needed', 'yellow'],
  impossible: ['cannot go back', 'red'],
  not_now: ['not now', 'red'],
  unknown: ['unknown', 'red'],
};

export function resultText(
  { outcome, detail, event_uuid, event, reason, replay }: ReplayResult,
  paint: Paint,
): string {
  const [words, style] = OUTCOMES[outcome];
  const place =
    outcome === 'replayed' && replay?.partition != null
      ? `${INGESTION_TOPIC}:${replay.partition}:${replay.offset}`
      : detail;
  const about = `${event_uuid}  ${plain(event)}  ${reason}`;
  return `${paint(style, words.padEnd(16))}  ${about}${place === '' ? '' : `  (${plain(place)})`}`;
}

/** How many of each, and what there is to know about those that are in doubt. */
export function summaryText(results: readonly ReplayResult[]): readonly string[] {
  if (results.length === 0) return ['no dead letters'];
  const counts = Object.entries(OUTCOMES).flatMap(([outcome, [words]]) => {
    const count = results.filter((result) => result.outcome === outcome).length;
    return count === 0 ? [] : [`${count} ${words}`];
  });
  const isInDoubt = results.some(({ outcome }) => outcome === 'unknown');
  const doubt =
    'Unknown: the log did not confirm them. They are not tried again; docs/operations.md says how to find out.';
  return [counts.join(', '), ...(isInDoubt ? [doubt] : [])];
}

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `2h` before now, or a time: ISO 8601, UTC. */
export function sinceTime(text: string, nowMs: number): string {
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const epochMs = count === undefined ? parseTimestamp(text) : nowMs - Number(count) * (UNITS_MS[unit] ?? 0);
  if (epochMs !== undefined) return new Date(epochMs).toISOString();
  throw new UsageError(`--since is "${text}": it takes 30m, 2h, 3d, or a time such as 2026-01-31T12:00:00Z`);
}
