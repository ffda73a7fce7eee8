/** What a body says, found out without the system's help, so that its events can be looked for. */
import { SEGMENT_PATHS } from '../../src/capture/segment-table.ts';
import type { Dialect } from './bodies.ts';
import type { SentEvent } from './input.ts';
import { isMembers, type Members, type Value } from './mutate-json.ts';

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const HYPHENATED = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;

/** In lower case, with hyphens; `undefined`: it is none. */
export function normalUuid(value: Value | undefined): string | undefined {
  if (typeof value !== 'string' || !UUID.test(value)) return undefined;
  if (value.length !== 36 && value.length !== 32) return undefined;
  const text = value.toLowerCase();
  return value.length === 36 ? text : text.replace(HYPHENATED, '$1-$2-$3-$4-$5');
}

const DISCARDED: ReadonlySet<Value | undefined> = new Set([
  '$snapshot',
  '$snapshot_items',
  '$performance_event',
  '$$heatmap',
]);

/** Names and properties of events for which there are reasons to drop them. */
const MAY_DROP = /cookieless|client_ingestion_warning|identify|alias|merge_dangerously/;

/** `undefined`: it holds no events, or is no JSON. `path`: without a slash at its end. */
export function eventsOf(text: Buffer, dialect: Dialect, path: string): readonly SentEvent[] | undefined {
  const body = parse(text);
  const events = dialect === 'segment' ? segmentEvents(body, path) : plainEvents(body, dialect);
  return events?.map((event) => {
    if (!isMembers(event)) return { uuid: undefined, isDiscarded: false, mayDrop: true };
    const uuid = event[dialect === 'segment' ? 'messageId' : 'uuid'];
    // Segment's ids are any text: another uuid is derived from what is not written as one.
    const isUuid = normalUuid(uuid) !== undefined && (dialect !== 'segment' || String(uuid).includes('-'));
    return {
      uuid: isUuid ? String(uuid) : undefined,
      isDiscarded: dialect !== 'segment' ? DISCARDED.has(event['event']) : isDiscardedMessage(event, path),
      // What has no name is an `$identify` there.
      mayDrop:
        MAY_DROP.test(JSON.stringify(event)) ||
        MAY_DROP.test(SEGMENT_PATHS[path] ?? '') ||
        path === '/engage',
    };
  });
}

function parse(text: Buffer): Value | undefined {
  const hasBom = text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf;
  try {
    return JSON.parse(text.toString('utf8', hasBom ? 3 : 0));
  } catch {
    return undefined;
  }
}

function plainEvents(body: Value | undefined, dialect: Dialect): readonly Value[] | undefined {
  if (Array.isArray(body)) return dialect === 'v0' ? body : undefined;
  if (!isMembers(body)) return undefined;
  if (Array.isArray(body['batch'])) return body['batch'];
  return dialect === 'v0' ? [body] : undefined;
}

function segmentEvents(body: Value | undefined, path: string): readonly Value[] | undefined {
  if (!isMembers(body)) return undefined;
  if (SEGMENT_PATHS[path] !== 'batch') return [body];
  return Array.isArray(body['batch']) ? body['batch'] : undefined;
}

/** Only a `track` has a name of its own. */
function isDiscardedMessage(message: Members, path: string): boolean {
  const type = SEGMENT_PATHS[path] === 'batch' ? message['type'] : SEGMENT_PATHS[path];
  return type === 'track' && DISCARDED.has(message['event']);
}
