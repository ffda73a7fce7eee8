/** `/_dead_letters`: what is asked for, checked, and the answer. */

import { parseUuid } from '../event/ids.ts';
import { isJsonObject } from '../event/json.ts';
import { DEAD_LETTER_REASONS } from '../event/outcome.ts';
import { parseTimestamp } from '../event/timestamp.ts';
import { LIMITS } from '../limits.ts';
import {
  type DeadLetters,
  type LetterFilter,
  type LetterList,
  type LetterPlace,
  placeOf,
  type ShownLetter,
} from './dead-letters.ts';
import { type Replayer, type ReplayResult, replayLetters } from './dead-letters-replay.ts';

/** What the request got wrong. */
export class BadRequestError extends Error {
  override readonly name = 'BadRequestError';
}

/** Which ones; without any of the first three, all. */
export interface ReplayRequest {
  readonly uuids?: readonly string[];
  readonly reason?: string;
  readonly since?: string;
  /** `next` of the answer before. */
  readonly after?: string;
  /** True unless it says false. */
  readonly dry_run?: boolean;
}

export interface ReplayAnswer {
  readonly results: readonly ReplayResult[];
  /** `after` of the request for those that follow; null: there are no more. */
  readonly next: string | null;
}

const { listMax, replayMax } = LIMITS.deadLetters;

export type LettersAnswer = LetterList | { readonly letters: readonly ShownLetter[] };

/** `?reason=&since=&limit=`: the newest; `?uuid=`: all of one. Rejects with `BadRequestError`. */
export async function answerDeadLetters(
  letters: DeadLetters,
  asked: URLSearchParams,
): Promise<LettersAnswer> {
  const uuid = asked.get('uuid');
  if (uuid !== null) return { letters: await letters.show(uuidOf(uuid)) };
  const limit = Number(asked.get('limit') ?? 100);
  if (!Number.isInteger(limit) || limit < 1 || limit > listMax) {
    throw new BadRequestError(`limit is ${asked.get('limit')}: it takes 1 to ${listMax}`);
  }
  return letters.list(filterOf(Object.fromEntries(asked)), limit);
}

/**
 * `body`: a `ReplayRequest`. Some go back, in the order of the log. What was given up after the first request began is
 * left out, or an event whose cause is still there would go back again and again. Rejects with `BadRequestError`.
 */
export async function answerReplay(
  letters: DeadLetters,
  replayer: Replayer,
  body: string,
  nowMs: number,
): Promise<ReplayAnswer> {
  const asked = parse(body);
  const { untilMs, place } = asked['after'] === undefined ? { untilMs: nowMs } : cursorIn(asked['after']);
  const page = await letters.page({ ...filterOf(asked), untilMs }, place);
  const results = await replayLetters(replayer, await letters.judge(page), asked['dry_run'] !== false);
  const last = page.at(-1);
  const isLast = last === undefined || page.length < replayMax;
  return { results, next: isLast ? null : cursorText({ untilMs, place: placeOf(last) }) };
}

interface Cursor {
  readonly untilMs: number;
  readonly place?: LetterPlace;
}

const CURSOR =
  /^(?<until>\d{1,14}):(?<partition>\d{1,10}):(?<offset>\d{1,19}):(?<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

const cursorText = ({ untilMs, place }: Required<Cursor>): string =>
  `${untilMs}:${place.partition}:${place.offset}:${place.id}`;

function cursorIn(value: unknown): Cursor {
  const found = typeof value === 'string' ? CURSOR.exec(value)?.groups : undefined;
  if (found === undefined) throw new BadRequestError('after is not what an answer gave as next');
  const { until, partition = '', offset = '', id = '' } = found;
  return { untilMs: Number(until), place: { partition, offset, id } };
}

function parse(body: string): Readonly<Record<string, unknown>> {
  try {
    const asked: unknown = JSON.parse(body);
    if (isJsonObject(asked)) return asked;
  } catch {
    // Said below.
  }
  throw new BadRequestError('the body is not a JSON object, such as {"uuids":["…"],"dry_run":false}');
}

function filterOf({ reason, since, uuids }: Readonly<Record<string, unknown>>): LetterFilter {
  return {
    ...(reason === undefined ? {} : { reason: reasonOf(reason) }),
    ...(since === undefined ? {} : { sinceMs: timeOf(since) }),
    ...(uuids === undefined ? {} : { uuids: uuidsOf(uuids) }),
  };
}

function reasonOf(value: unknown): string {
  const reason = DEAD_LETTER_REASONS.find((known) => known === value);
  if (reason !== undefined) return reason;
  throw new BadRequestError(`there is no reason ${value}: it is one of ${DEAD_LETTER_REASONS.join(', ')}`);
}

function timeOf(value: unknown): number {
  const epochMs = parseTimestamp(value);
  if (epochMs !== undefined && epochMs >= 0 && epochMs < Date.UTC(2200)) return epochMs;
  throw new BadRequestError(`since is ${value}: it takes a time, such as 2026-01-31T12:00:00Z`);
}

function uuidsOf(value: unknown): readonly string[] {
  if (Array.isArray(value) && value.length > 0 && value.length <= replayMax) return value.map(uuidOf);
  throw new BadRequestError(`uuids is a list of 1 to ${replayMax}`);
}

function uuidOf(value: unknown): string {
  const uuid = typeof value === 'string' ? parseUuid(value) : undefined;
  if (uuid !== undefined) return uuid;
  throw new BadRequestError(`${JSON.stringify(value)} is no uuid of an event or a dead letter`);
}
