/** The events in a recorded body, as v0 would have them, found out without any code of the system. */
import { gunzipSync, inflateSync } from 'node:zlib';
import { v5 } from 'uuid';
import type { Row } from './harness.ts';

/** One request as a recording server saw it; `body` is base64 of the raw bytes. */
export interface Recorded {
  readonly sdk: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface SentEvent {
  readonly uuid: string;
  readonly event: string;
  readonly distinct_id?: string;
  readonly timestamp: string;
  readonly properties: Row;
  readonly $set?: Row;
  readonly $set_once?: Row;
}

export const pathOf = ({ url }: Recorded): string => url.split('?')[0] ?? '';

interface Path {
  readonly toEvent: (sent: Row, recorded: Recorded) => SentEvent;
  /** What a server has to say. */
  readonly answer: (events: readonly SentEvent[]) => unknown;
}

const V0: Path = {
  toEvent: (sent) => sent as unknown as SentEvent,
  answer: () => ({ status: 1 }),
};

const V1: Path = {
  toEvent: fromV1,
  answer: (events) => ({ results: Object.fromEntries(events.map(({ uuid }) => [uuid, { result: 'ok' }])) }),
};

/** Paths that take events. */
export const EVENT_PATHS: Readonly<Record<string, Path>> = {
  '/e/': V0,
  '/i/v0/e/': V0,
  '/i/v0/ai/batch/': V0,
  '/batch/': V0,
  '/i/v1/analytics/events': V1,
  '/v1/batch': { toEvent: fromSegment, answer: () => ({ success: true }) },
};

export function eventsOf(recorded: Recorded, { toEvent }: Path): SentEvent[] {
  let bytes = Buffer.from(recorded.body, 'base64');
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);
  if (recorded.headers['content-encoding'] === 'deflate') bytes = inflateSync(bytes);
  let text = bytes.toString();
  if (text.startsWith('data='))
    text = Buffer.from(decodeURIComponent(text.slice('data='.length)), 'base64').toString();
  const { batch } = JSON.parse(text) as { readonly batch: readonly Row[] };
  return batch.map((sent) => toEvent(sent, recorded));
}

function fromV1(sent: Row, { headers }: Recorded): SentEvent {
  const { options, session_id, window_id, properties, ...rest } = sent as Row & {
    readonly options: Row;
    readonly properties: Row;
  };
  const [$lib, $lib_version] = (headers['posthog-sdk-info'] ?? '').split('/');
  const moved = {
    $lib,
    $lib_version,
    $session_id: session_id,
    $window_id: window_id,
    $process_person_profile: options['process_person_profile'],
    $cookieless_mode: options['cookieless_mode'],
    $ignore_sent_at: options['disable_skew_correction'],
    $product_tour_id: options['product_tour_id'],
  };
  const present = Object.entries(moved).filter(([, value]) => value !== undefined);
  const event = { ...rest, properties: { ...properties, ...Object.fromEntries(present) } };
  return event as unknown as SentEvent;
}

const MESSAGE_NAMESPACE = '0c4a6d0e-7f5b-4c52-9f0e-2b6f3d1c8a97';
const SEGMENT_EVENTS: Readonly<Record<string, string>> = {
  page: '$pageview',
  screen: '$screen',
  identify: '$identify',
  group: '$groupidentify',
  alias: '$create_alias',
};

interface Message {
  readonly type: string;
  readonly event: string;
  readonly name?: string;
  readonly messageId: string;
  readonly timestamp: string;
  readonly userId?: string;
  readonly anonymousId?: string;
  readonly properties?: Row;
  readonly context: { readonly library: { readonly name: string; readonly version: string } };
}

function fromSegment(sent: Row): SentEvent {
  const message = sent as unknown as Message;
  const { type, messageId, timestamp, userId, anonymousId, properties, context } = message;
  const distinct_id = userId ?? anonymousId;
  return {
    uuid: v5(messageId, MESSAGE_NAMESPACE),
    event: SEGMENT_EVENTS[type] ?? message.event,
    ...(distinct_id === undefined ? {} : { distinct_id }),
    timestamp,
    properties: {
      ...properties,
      $lib: context.library.name,
      $lib_version: context.library.version,
      ...(anonymousId === undefined ? {} : { $device_id: anonymousId }),
    },
  };
}
