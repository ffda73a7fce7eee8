/** The input of a seed and a number: always the same one. */
import { BEARER, BODIES, type Body, V1_PATH, ZSTD_BODIES } from './bodies.ts';
import { type Chance, chanceOf } from './chance.ts';
import { DIRECTED } from './directed.ts';
import type { Ending, Input, SentRequest } from './input.ts';
import { eventsOf } from './known.ts';
import { mutateBytes } from './mutate-bytes.ts';
import { isMembers, mutateJson, toText, type Value } from './mutate-json.ts';
import { noise } from './noise.ts';
import { withOwnIds } from './own-ids.ts';
import { mutateRequest, type Request, toBytes, toChunkedBytes } from './request.ts';
import { wrap } from './wrap.ts';

/** A request, what its events are, and what was done to it. */
interface Made {
  readonly bytes: Buffer;
  readonly sent: SentRequest;
  readonly what: string;
}

/** The first inputs of every seed are one for each reason; after them chance decides. */
export function makeInput(seed: number, number: number): Input {
  const chance = chanceOf(seed, number);
  const base = { seed, number };
  const first = DIRECTED[number];
  if (first !== undefined) return { ...base, ...whole(directed(first, chance)) };
  switch (chance.integer(20)) {
    case 0:
      return { ...base, ...whole(directed(chance.pick(DIRECTED), chance)) };
    case 1:
      return { ...base, ...broken(structured(seed, number, chance), chance) };
    case 2:
      return { ...base, ...pipelined(seed, number, chance) };
    case 3:
      return { ...base, ...alone(noise(chance), chance) };
    case 4:
      return { ...base, ...abandoned(structured(seed, number, chance), chance) };
    case 5:
    case 6:
      return { ...base, ...split(structured(seed, number, chance), chance) };
    default:
      return { ...base, ...whole(structured(seed, number, chance)) };
  }
}

type Shaped = Pick<Input, 'what' | 'parts' | 'requests' | 'mustAnswer' | 'ending'>;

const whole = ({ bytes, sent, what }: Made): Shaped => ({
  what,
  parts: [bytes],
  requests: [sent],
  mustAnswer: true,
  ending: 'wait',
});

/** In segments of any size, from the end of the first line on: a first line in two is a 505 of the HTTP server. */
function split({ bytes, sent, what }: Made, chance: Chance): Shaped {
  const lineEnd = bytes.indexOf('\r\n') + 2;
  const later = cut(bytes.subarray(lineEnd), chance.between(2, 12), chance);
  const parts = chance.oneIn(2)
    ? [bytes.subarray(0, lineEnd), ...later]
    : [bytes.subarray(0, lineEnd + (later[0]?.length ?? 0)), ...later.slice(1)];
  return { ...whole({ bytes, sent, what: `${what}; in ${parts.length} parts` }), parts };
}

/** The client changes its mind: nobody knows what becomes of the events. */
function abandoned({ bytes, sent, what }: Made, chance: Chance): Shaped {
  const length = chance.oneIn(3) ? bytes.length : chance.integer(bytes.length);
  const ending = chance.pick<Ending>(['leave', 'leave', 'finish']);
  return {
    what: `${what}; ${length} of ${bytes.length} bytes, then ${ending}`,
    parts: cut(bytes.subarray(0, length), chance.between(1, 4), chance),
    requests: [sent],
    mustAnswer: false,
    ending,
  };
}

/** One byte or a few of the whole request are not what they were, the HTTP around the body included. */
function broken({ bytes, sent, what }: Made, chance: Chance): Shaped {
  // Half of the time in the head, which is the smaller part.
  const headLength = bytes.indexOf('\r\n\r\n') + 4;
  const isHead = chance.oneIn(2);
  const [changed, how] = mutateBytes(isHead ? bytes.subarray(0, headLength) : bytes, chance);
  const all = isHead ? Buffer.concat([changed, bytes.subarray(headLength)]) : changed;
  return {
    ...alone([all, `${what}; ${how} in ${isHead ? 'its head' : 'the whole'}`], chance),
    requests: [{ ...sent, events: undefined }],
  };
}

function alone([bytes, what]: readonly [Buffer, string], chance: Chance): Shaped {
  return {
    what,
    parts: cut(bytes, chance.between(1, 4), chance),
    requests: [],
    mustAnswer: false,
    ending: chance.pick<Ending>(['wait', 'finish', 'leave']),
  };
}

/** Several requests in one write. The server ends a connection that brings the next one before it has answered. */
function pipelined(seed: number, number: number, chance: Chance): Shaped {
  const made = Array.from({ length: chance.between(2, 5) }, (_, place) =>
    structured(seed, number, chance, place),
  );
  return {
    what: `${made.length} at once: ${made.map(({ what }) => what).join(' | ')}`,
    parts: cut(Buffer.concat(made.map(({ bytes }) => bytes)), chance.between(1, 3), chance),
    requests: made.map(({ sent }) => sent),
    mustAnswer: false,
    ending: chance.pick<Ending>(['wait', 'wait', 'leave']),
  };
}

function cut(bytes: Buffer, parts: number, chance: Chance): readonly Buffer[] {
  const places = Array.from({ length: parts - 1 }, () => chance.integer(bytes.length + 1)).sort(
    (a, b) => a - b,
  );
  const ends = [...places, bytes.length];
  return ends
    .map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end))
    .filter(({ length }) => length > 0);
}

function directed([reason, make]: (typeof DIRECTED)[number], chance: Chance): Made {
  const request = make(chance);
  const sent = { isHead: false, isV1: request.target === V1_PATH, events: undefined };
  return { bytes: toBytes(request), sent, what: `for ${reason}` };
}

/** A recorded body, mostly changed somewhere, wrapped somehow. `place`: among the requests of one input. */
function structured(seed: number, number: number, chance: Chance, place = 0): Made {
  if (chance.oneIn(100)) return zstdMade(chance);
  const body = chance.pick(BODIES);
  const path = chance.pick(body.paths);
  const notes = [body.name];
  const value = withOwnIds(JSON.parse(body.json), { seed, number, place }, chance);
  for (let times = chance.pick([0, 0, 1, 1, 1, 2, 3, 6]); times > 0; times--)
    notes.push(mutateJson(value, chance));
  changeNumber(value, chance);
  let text = Buffer.from(toText(value));
  if (chance.oneIn(8)) {
    const [changed, how] = mutateBytes(text, chance);
    text = Buffer.from(changed);
    notes.push(`text: ${how}`);
  }
  const events = eventsOf(text, body.dialect, path);
  return sendable(body, path, { text, events, notes }, chance);
}

/** What a body says, and what has been done to it. */
interface Content {
  readonly text: Buffer;
  readonly events: SentRequest['events'];
  readonly notes: readonly string[];
}

function sendable(body: Body, path: string, content: Content, chance: Chance): Made {
  const notes = [...content.notes];
  let { events } = content;
  const wrapped = wrap(content.text, body.dialect !== 'v0', chance);
  notes.push(wrapped.what);
  let bytes = wrapped.body;
  if (bytes.length > 0 && chance.oneIn(12)) {
    const [changed, how] = mutateBytes(bytes, chance);
    bytes = changed;
    events = undefined;
    notes.push(`body: ${how}`);
  }
  const query = wrapped.query.length === 0 ? '' : `?${wrapped.query.join('&')}`;
  const method = wrapped.isInQuery && chance.oneIn(2) ? 'GET' : 'POST';
  const plain: Request = {
    method,
    target: `${path}${query}`,
    headers: { ...body.headers, ...wrapped.headers },
    body: bytes,
  };
  let request = plain;
  for (let times = chance.pick([0, 0, 0, 1, 1, 2]); times > 0; times--) {
    const changed = mutateRequest(request, chance);
    request = changed.request;
    notes.push(changed.what);
  }
  if (!isSameRoute(plain, request)) events = undefined;
  const isChunked = request.body.length > 0 && chance.oneIn(6);
  if (isChunked) notes.push('chunked');
  return {
    bytes: isChunked ? toChunkedBytes(request, chance) : toBytes(request),
    sent: { isHead: request.method === 'HEAD', isV1: body.dialect === 'v1', events },
    what: `${request.method} ${path}: ${notes.join('; ')}`,
  };
}

const pathOf = ({ target }: Request): string => (target.split('?')[0] ?? '').replace(/\/$/, '');

function isSameRoute(before: Request, after: Request): boolean {
  return before.method === after.method && pathOf(before) === pathOf(after);
}

/** Large batches are the exception, and so is an event that comes twice. */
function changeNumber(value: Value, chance: Chance): void {
  const events = Array.isArray(value) ? value : isMembers(value) ? value['batch'] : undefined;
  if (!Array.isArray(events)) return;
  if (events.length > 3 && !chance.oneIn(10)) events.length = chance.between(1, 3);
  const [first] = events;
  if (first !== undefined && chance.oneIn(40)) events.push(structuredClone(first));
}

/** What the reference implementation has compressed, and mostly a bit of it changed. */
function zstdMade(chance: Chance): Made {
  const frame = chance.pick(ZSTD_BODIES);
  const [body, how] = chance.oneIn(4) ? [frame, 'as it is'] : mutateBytes(frame, chance);
  const bytes = toBytes({ method: 'POST', target: '/batch', headers: BEARER, body });
  return { bytes, sent: { isHead: false, isV1: false, events: undefined }, what: `a zstd frame; ${how}` };
}
