/** For each reason of the door an input that brings it about, and for the few that no input can, what else does. */
import { gzipSync } from 'node:zlib';
import type { DiscardReason, RefusalReason } from '../../src/event/outcome.ts';
import { LIMITS } from '../../src/limits.ts';
import { DEV_PROJECT } from '../../src/storage/postgres/projects.ts';
import { BEARER, V1_PATH } from './bodies.ts';
import type { Chance } from './chance.ts';
import { deepArray, type Members, toText, type Value } from './mutate-json.ts';
import type { Request } from './request.ts';

const { capture } = LIMITS;
const { token: TOKEN } = DEV_PROJECT;

/** Of a small door, or of one phase of the run: `conditions.ts` and `overload.ts` bring them about. */
export const BY_CONDITION = {
  overloaded: `more than ${capture.bytesInFlightMax / 1024 / 1024} MiB of bodies at once`,
  log_full: 'a door of its own, whose log is full',
  log_unavailable: 'a door of its own, whose log is away and whose spool is full',
} as const satisfies Partial<Record<RefusalReason, string>>;

/** What must never be, and the test that holds what is answered if it were. */
export const NEVER = {
  internal_error: 'a fault of the server, never; test/capture/conditions.test.ts',
} as const satisfies Partial<Record<RefusalReason, string>>;

/** Whose events the project has the door drop. */
export const RESTRICTED_ID = 'restricted';

type ByInput = Exclude<RefusalReason, keyof typeof BY_CONDITION | keyof typeof NEVER>;

const good = (chance: Chance): Members => ({
  event: 'directed',
  distinct_id: `directed-${chance.integer(1_000)}`,
  properties: { plan: 'free', n: chance.integer(1_000_000) },
});

function post(
  path: string,
  body: Value | string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Request {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : toText(body));
  return { method: 'POST', target: path, headers, body: bytes };
}

/** Good events around a bad one. */
function around(bad: Value, chance: Chance): Value[] {
  const before = Array.from({ length: chance.integer(3) }, () => good(chance));
  return [...before, bad, ...(chance.oneIn(2) ? [good(chance)] : [])];
}

const batch = (bad: Value, chance: Chance): Request =>
  post(chance.pick(['/batch', '/e', '/capture']), { api_key: TOKEN, batch: around(bad, chance) });

const v1 = (batchOf: Value[], headers: Readonly<Record<string, string>> = {}): Request =>
  post(V1_PATH, { batch: batchOf }, { ...BEARER, ...headers });

function without(event: Members, key: string): Members {
  return Object.fromEntries(Object.entries(event).filter(([name]) => name !== key));
}

const UUID = '01980000-0000-7000-8000-0000000000aa';

export const REFUSED: Readonly<Record<ByInput, (chance: Chance) => Request>> = {
  malformed_body: (chance) => post('/batch', chance.pick(['{"api_key":', '7', '"x"', '[1', '{"batch":{}}'])),
  empty_body: (chance) => post(chance.pick(['/e', '/batch']), ''),
  empty_batch: () => post('/batch', { api_key: TOKEN, batch: [] }),
  too_many_events: () =>
    post('/batch', { api_key: TOKEN, batch: Array.from({ length: capture.eventsPerBatchMax + 1 }, () => 0) }),
  too_deep: (chance) =>
    batch({ ...good(chance), properties: { x: deepArray(chance.between(101, 50_000)) } }, chance),
  too_many_keys: (chance) =>
    batch(
      { ...good(chance), properties: { x: Array.from({ length: capture.jsonKeysMax + 1 }, () => 0) } },
      chance,
    ),
  missing_event_name: (chance) => batch({ ...good(chance), event: '' }, chance),
  invalid_event_name: (chance) =>
    batch({ ...good(chance), event: chance.pick<Value>([7, true, {}, []]) }, chance),
  missing_distinct_id: (chance) => batch(without(good(chance), 'distinct_id'), chance),
  invalid_uuid: (chance) =>
    batch({ ...good(chance), uuid: chance.pick<Value>(['x', 7, {}, `${UUID}0`]) }, chance),
  missing_uuid: (chance) => v1([good(chance)]),
  duplicate_uuid: (chance) =>
    v1([
      { ...good(chance), uuid: UUID },
      { ...good(chance), uuid: UUID.toUpperCase() },
    ]),
  invalid_properties: (chance) =>
    batch({ ...good(chance), properties: chance.pick<Value>([[], 'x', 7, null]) }, chance),
  invalid_cookieless_mode: (chance) =>
    batch({ ...good(chance), properties: { $cookieless_mode: 'yes' } }, chance),
  invalid_options: (chance) =>
    v1([
      { ...good(chance), uuid: UUID, options: chance.pick<Value>([1, 'x', { cookieless_mode: 'perhaps' }]) },
    ]),
  unknown_message_type: () =>
    post('/v1/batch', { writeKey: TOKEN, batch: [{ type: 'dance', userId: 'ann', messageId: 'm' }] }),
  missing_token: (chance) => post('/batch', { batch: [good(chance)] }),
  invalid_token: (chance) =>
    post('/e', {
      ...good(chance),
      api_key: chance.pick<Value>(['', 'phx_personal', 7, 'ключ', 'x'.repeat(65)]),
    }),
  several_tokens: (chance) =>
    post('/batch', [
      { ...good(chance), token: TOKEN },
      { ...good(chance), token: 'phc_other' },
    ]),
  unknown_token: (chance) => post('/e', { ...good(chance), api_key: `phc_nobody_${chance.integer(1_000)}` }),
  body_too_large: () => post('/batch', gzipSync(Buffer.alloc(capture.inflatedBytesMax + 1, 0x20))),
  event_too_large: (chance) =>
    batch({ ...good(chance), properties: { x: 'x'.repeat(capture.eventBytesMax) } }, chance),
  unsupported_encoding: (chance) => post('/e', 'xyz!', { 'content-encoding': chance.pick(['br', 'snappy']) }),
  unsupported_content_type: (chance) =>
    v1([good(chance)], { 'content-type': chance.pick(['text/csv', 'text/plain']) }),
};

const discarded =
  (event: string) =>
  (chance: Chance): Request =>
    post('/e', { api_key: TOKEN, ...good(chance), event });

export const DISCARDED: Readonly<Record<DiscardReason, (chance: Chance) => Request>> = {
  session_recording: (chance) => (chance.oneIn(2) ? post('/s/', 'x') : discarded('$snapshot')(chance)),
  performance_event: discarded('$performance_event'),
  heatmap: discarded('$$heatmap'),
  restriction: (chance) => post('/e', { api_key: TOKEN, ...good(chance), distinct_id: RESTRICTED_ID }),
};

export const DIRECTED: readonly (readonly [string, (chance: Chance) => Request])[] = [
  ...Object.entries(REFUSED),
  ...Object.entries(DISCARDED),
];
