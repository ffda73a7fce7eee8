/** Which events join two distinct ids, and which ids nobody can be. */
import type { PipelineEvent } from '../event/event.ts';
import { asDistinctId, type DistinctId } from '../event/ids.ts';

/** Where the other id is found, by the event's name. */
const OTHER_ID: ReadonlyMap<string, string> = new Map([
  ['$identify', '$anon_distinct_id'],
  ['$create_alias', 'alias'],
  ['$merge_dangerously', 'alias'],
]);

/** What an event says about another id: it is the same person as the event's own one. */
export interface MergeRequest {
  readonly otherId: DistinctId;
  /** Set where one of the two ids is one that nobody can be: nothing is merged. */
  readonly illegalId: DistinctId | undefined;
  /** Whether an identified person may be merged away. */
  readonly dangerously: boolean;
  /** The other id was longer than an id may be, and was cut as capture cuts them. */
  readonly truncated: boolean;
}

/** As capture has it: characters (code points) of a distinct id. */
const DISTINCT_ID_CHARS_MAX = 200;

/** `undefined`: an event like all others. Values that are no text were dropped before (`own-fate.ts`). */
export function mergeRequest(event: PipelineEvent): MergeRequest | undefined {
  const property = OTHER_ID.get(event.name);
  if (property === undefined) return undefined;
  const value = event.properties[property];
  if (typeof value !== 'string') return undefined;
  const cut = truncate(value);
  if (cut === event.distinctId) return undefined;
  const otherId = asDistinctId(cut);
  const illegalId = [event.distinctId, otherId].find(isIllegal);
  return { otherId, illegalId, dangerously: event.name === '$merge_dangerously', truncated: cut !== value };
}

/** What broken clients send instead of an id, in any case. */
const ILLEGAL_IN_ANY_CASE: ReadonlySet<string> = new Set([
  'anonymous',
  'guest',
  'distinctid',
  'distinct_id',
  'id',
  'not_authenticated',
  'email',
  'undefined',
  'true',
  'false',
]);
const ILLEGAL: ReadonlySet<string> = new Set(['[object Object]', 'NaN', 'None', 'none', 'null', '0']);

/** Whether a whole crowd would share the id: it never merges. */
export function isIllegal(id: string): boolean {
  const bare = id.trim();
  if (bare === '') return true;
  if (ILLEGAL_IN_ANY_CASE.has(id.toLowerCase()) || ILLEGAL.has(id)) return true;
  const quote = id[0];
  if (id.length < 2 || (quote !== '"' && quote !== "'") || id.at(-1) !== quote) return false;
  const inner = id.slice(1, -1);
  return ILLEGAL_IN_ANY_CASE.has(inner.toLowerCase()) || ILLEGAL.has(inner);
}

function truncate(id: string): string {
  if (id.length <= DISTINCT_ID_CHARS_MAX) return id;
  return Array.from(id).slice(0, DISTINCT_ID_CHARS_MAX).join('');
}
