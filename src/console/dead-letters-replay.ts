/**
 * Puts the events of dead letters back into the log, each at most once: it is noted in Postgres before it is appended,
 * and whoever finds a note leaves it alone. A process that dies in between leaves a note without a place.
 */

import { captureKey } from '../event/captured.ts';
import { REPLAY_HEADERS, type Revived } from '../event/dead-letter.ts';
import { LIMITS } from '../limits.ts';
import { type AppendRecord, type EventLog, LogFullError } from '../storage/event-log.ts';
import { forgetReplays, keyText, noteReplays, placeReplays } from '../storage/postgres/dead-letters.ts';
import type { Postgres } from '../storage/postgres/pool.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';
import { type DeadLetter, type Judged, type ReplayRecord, replayRecord } from './dead-letters.ts';

export const REPLAY_OUTCOMES = [
  /** It would go back. */
  'ready',
  'replayed',
  /** Before, or by somebody else at the same time. */
  'replayed_already',
  /** Its row is there: it was sent again, or its record was read again. */
  'has_row',
  'impossible',
  /** The log takes nothing at the moment: nothing was written, and it can be asked for again. */
  'not_now',
  /** It may or may not be in the log, and is not tried again. */
  'unknown',
] as const;
export type ReplayOutcome = (typeof REPLAY_OUTCOMES)[number];

export interface ReplayResult
  extends Pick<DeadLetter, 'id' | 'event_uuid' | 'reason' | 'event' | 'distinct_id'> {
  readonly outcome: ReplayOutcome;
  /** In words, for what was not done. */
  readonly detail: string;
  /** Its note, where it went back now or before. */
  readonly replay: ReplayRecord | null;
}

interface Going {
  readonly judged: Judged;
  readonly record: AppendRecord;
}

export interface Replayer {
  readonly log: Pick<EventLog, 'append' | 'trouble'>;
  readonly postgres: Postgres;
}

/** One result for each, in order. `dryRun`: nothing is noted or appended. */
export async function replayLetters(
  { log, postgres }: Replayer,
  judged: readonly Judged[],
  dryRun: boolean,
): Promise<readonly ReplayResult[]> {
  const results = new Map<Judged, ReplayResult>();
  const going: Going[] = [];
  const keys = new Set<string>();
  for (const one of judged) {
    const { revival, key } = one;
    const refused = refusal(one) ?? (keys.has(keyText(key)) ? SAME_EVENT : undefined);
    if (refused !== undefined || 'impossible' in revival) {
      results.set(one, resultOf(one, refused ?? SAME_EVENT));
      continue;
    }
    keys.add(keyText(key));
    if (dryRun) results.set(one, resultOf(one, { outcome: 'ready', detail: '' }));
    else going.push({ judged: one, record: recordOf(one.letter.id, revival) });
  }
  let trouble = going.length === 0 ? undefined : log.trouble();
  for (const some of inAppends(going)) {
    if (trouble === undefined) trouble = await replaySome({ log, postgres }, some, results);
    else end(results, some, { outcome: 'not_now', detail: trouble });
  }
  return judged.flatMap((one) => results.get(one) ?? []);
}

type Ended = Pick<ReplayResult, 'outcome' | 'detail'> & { readonly replay?: ReplayRecord };

const SAME_EVENT: Ended = {
  outcome: 'replayed_already',
  detail: 'another dead letter of the same record goes back',
};

function refusal({ replay, revival, hasRow }: Judged): Ended | undefined {
  if (replay !== undefined) {
    const noted = replayRecord(replay);
    const where =
      replay.at === undefined
        ? 'whether it got into the log is not known'
        : `it is ${INGESTION_TOPIC}:${replay.at.partition}:${replay.at.offset} now`;
    return { outcome: 'replayed_already', detail: `on ${noted.noted_at}; ${where}`, replay: noted };
  }
  if ('impossible' in revival) return { outcome: 'impossible', detail: revival.impossible };
  return hasRow ? { outcome: 'has_row', detail: 'ClickHouse has its row already' } : undefined;
}

function end(results: Map<Judged, ReplayResult>, going: readonly Going[], ended: Ended): void {
  for (const { judged } of going) results.set(judged, resultOf(judged, ended));
}

/** Gives why the log takes no more at the moment, if so. */
async function replaySome(
  { log, postgres }: Replayer,
  going: readonly Going[],
  results: Map<Judged, ReplayResult>,
): Promise<string | undefined> {
  const noted = await noteReplays(
    postgres,
    going.map(({ judged }) => judged.key),
  );
  const isMine = ({ judged }: Going) => noted.has(keyText(judged.key));
  end(
    results,
    going.filter((one) => !isMine(one)),
    { outcome: 'replayed_already', detail: 'by somebody else, just now' },
  );
  const mine = going.filter(isMine);
  if (mine.length === 0) return undefined;
  const keys = mine.map(({ judged }) => judged.key);
  try {
    const positions = await log.append(mine.map(({ record }) => record));
    const places = keys.flatMap((key, index) => {
      const position = positions[index];
      return position === undefined ? [] : [{ ...key, ...position }];
    });
    const placed = await placeReplays(postgres, places);
    for (const { judged } of mine) {
      const replay = placed.get(keyText(judged.key));
      const ended: Ended = {
        outcome: 'replayed',
        detail: '',
        ...(replay && { replay: replayRecord(replay) }),
      };
      results.set(judged, resultOf(judged, ended));
    }
    return undefined;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const isUnwritten = error instanceof LogFullError;
    if (isUnwritten) await forgetReplays(postgres, keys);
    end(results, mine, { outcome: isUnwritten ? 'not_now' : 'unknown', detail });
    return detail;
  }
}

/** As capture wrote it, at its own time, with what tells it from a repeat of that. */
function recordOf(letterId: string, { captured, mode, timestampMs, recordedAtMs }: Revived): AppendRecord {
  const { token, distinct_id, event, uuid, now } = captured;
  return {
    topic: INGESTION_TOPIC,
    key: captureKey(token, distinct_id),
    value: JSON.stringify(captured),
    headers: {
      token,
      distinct_id,
      event,
      uuid,
      timestamp: String(timestampMs),
      now,
      ...(captured.historical_migration ? { historical_migration: 'true' } : {}),
      [REPLAY_HEADERS.letter]: letterId,
      [REPLAY_HEADERS.mode]: mode,
    },
    timestamp: recordedAtMs,
  };
}

function inAppends(going: readonly Going[]): readonly (readonly Going[])[] {
  const appends: Going[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const one of going) {
    bytes += one.record.value.length;
    if (bytes > LIMITS.deadLetters.appendBytesMax) {
      appends.push([]);
      bytes = one.record.value.length;
    }
    appends.at(-1)?.push(one);
  }
  return appends;
}

function resultOf({ letter }: Judged, { outcome, detail, replay }: Ended): ReplayResult {
  const { id, event_uuid, reason, event, distinct_id } = letter;
  return { id, event_uuid, reason, event, distinct_id, outcome, detail, replay: replay ?? null };
}
