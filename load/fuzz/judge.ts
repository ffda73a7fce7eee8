/** What an input's answers have to be, and what they promise of its events. */
import { statusOf } from '../../src/capture/api/conditions.ts';
import { REFUSAL_REASONS } from '../../src/event/outcome.ts';
import type { Answer } from './answer.ts';
import { NEVER } from './directed.ts';
import type { Input, SentEvent, SentRequest } from './input.ts';
import { normalUuid } from './known.ts';
import type { Heard } from './wire.ts';

/** An event whose uuid is known, and what its answer said of it. */
export interface Promised {
  readonly uuid: string;
  readonly mayDrop: boolean;
}

export interface Judged {
  /** Events that were answered 200, and events that were refused, as far as they have a uuid. */
  readonly durable: readonly Promised[];
  readonly refused: readonly string[];
  /** Events that were answered 200, with or without a uuid. */
  readonly durableEvents: number;
  /** A request was answered 200 of which nobody knows what it said. */
  readonly isUnknown: boolean;
  readonly statuses: readonly number[];
  readonly problems: readonly string[];
}

/** Of questions and documents, of events, and of what is on no path. */
const OF_THE_DOOR: readonly number[] = [
  200,
  204,
  304,
  404,
  405,
  ...REFUSAL_REASONS.filter((reason) => !Object.hasOwn(NEVER, reason)).map((reason) =>
    Number(statusOf(reason).slice(0, 3)),
  ),
];
/** Of the HTTP server itself, for what is not HTTP/1.1, or has too large a head. */
const OF_THE_SERVER: readonly number[] = [400, 431, 505];

export function judgeAnswers(input: Input, heard: Heard): Judged {
  const { answers, end, fault } = heard;
  const problems: string[] = [];
  const allowed = input.mustAnswer ? OF_THE_DOOR : [...OF_THE_DOOR, ...OF_THE_SERVER];
  for (const { status, headers } of answers) {
    if (!allowed.includes(status)) problems.push(`the answer ${status}`);
    if (status === 503 && !headers.has('retry-after')) problems.push('a 503 without Retry-After');
  }
  if (input.mustAnswer && answers.length < input.requests.length) {
    problems.push(end === 'late' ? 'no answer in time' : 'the connection ended without an answer');
  }
  if (fault !== undefined) problems.push(fault);
  const told = input.requests.map((request, index) => tellOf(request, answers[index]));
  return {
    durable: told.flatMap(({ durable }) => durable.flatMap(withUuid)),
    refused: told.flatMap(({ refused }) => refused.flatMap(withUuid)).map(({ uuid }) => uuid),
    durableEvents: told.reduce((sum, { durable }) => sum + durable.length, 0),
    isUnknown: told.some(({ isUnknown }) => isUnknown),
    statuses: answers.map(({ status }) => status),
    problems,
  };
}

/** It says nothing of a request before it that still has no answer. */
const isOfTheServer = ({ status, headers }: Answer): boolean =>
  OF_THE_SERVER.includes(status) && !headers.has('content-length');

interface Told {
  readonly durable: readonly SentEvent[];
  readonly refused: readonly SentEvent[];
  readonly isUnknown: boolean;
}

function tellOf({ events, isV1 }: SentRequest, answer: Answer | undefined): Told {
  const nothing: Told = { durable: [], refused: [], isUnknown: false };
  if (answer === undefined || isOfTheServer(answer)) return nothing;
  const isTaken = answer.status === 200 || answer.status === 204;
  if (events === undefined) return { ...nothing, isUnknown: isTaken };
  if (!isTaken) return { ...nothing, refused: answer.status === 503 ? [] : events };
  const isRefused = isV1 ? refusedIn(answer) : () => false;
  return {
    durable: events.filter((event) => !event.isDiscarded && !isRefused(event)),
    refused: events.filter(isRefused),
    isUnknown: false,
  };
}

/** V1 tells of each event by itself. */
function refusedIn({ body }: Answer): (event: SentEvent) => boolean {
  const { results }: { readonly results: Readonly<Record<string, { readonly result: string }>> } =
    JSON.parse(body);
  const dropped = new Set(
    Object.entries(results).flatMap(([uuid, { result }]) => (result === 'ok' ? [] : [normalUuid(uuid)])),
  );
  return ({ uuid }) => uuid !== undefined && dropped.has(normalUuid(uuid));
}

function withUuid({ uuid, mayDrop }: SentEvent): Promised[] {
  const normal = normalUuid(uuid);
  return normal === undefined ? [] : [{ uuid: normal, mayDrop }];
}
