/** Capture V1: what stands in the headers is not in the body, and every event has a result of its own. */
import { parseUuid, type Token } from '../event/ids.ts';
import { isJsonObject, type Json } from '../event/json.ts';
import { unknownEncoding, unsupportedEncoding } from './decode.ts';
import type { Dialect } from './dialect.ts';
import type { Taken } from './events.ts';
import type { Answer } from './exchange.ts';
import { Refusal } from './refusal.ts';
import { type Batch, isArray } from './shape.ts';
import { checkToken } from './token.ts';
import type { HttpRequest } from './uws.ts';
import { results, v1Error } from './v1-answers.ts';
import { type V1Common, v0Event } from './v1-event.ts';
import { refuse } from './validate.ts';

const BEARER = /^bearer\s+(?<token>\S.*)$/i;
const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
/** `posthog-node/5.70.0`; the name may have slashes itself. */
const SDK_INFO = /^(?<lib>.+)\/(?<version>[^/]+)$/;
const SDK_INFO_CHARS_MAX = 200;
/** An id of the client's that may go back into a header. */
const REQUEST_ID = /^[\w.-]{1,100}$/;

export class V1 implements Dialect {
  readonly isAllOrNothing = false;
  readonly fault: Refusal | undefined;
  readonly #token: string | undefined;
  /** When the client sent this attempt, in its own clock: the `sent_at` of V1. */
  readonly #sentAt: string;
  readonly #sdkInfo: string;
  /** Of every answer. */
  readonly #headers: Readonly<Record<string, string>>;
  #uuids: readonly string[] = [];

  constructor(req: HttpRequest) {
    this.#token = BEARER.exec(req.getHeader('authorization'))?.groups?.['token'];
    this.#sentAt = req.getHeader('posthog-request-timestamp');
    this.#sdkInfo = req.getHeader('posthog-sdk-info');
    const requestId = req.getHeader('posthog-request-id');
    this.#headers = REQUEST_ID.test(requestId) ? { 'PostHog-Request-Id': requestId } : {};
    this.fault = headFault(this.#token, req.getHeader('content-type'), req.getHeader('content-encoding'));
  }

  batchOf(body: Json): Batch | Refusal {
    const events = isJsonObject(body) ? body['batch'] : undefined;
    if (!isJsonObject(body) || !isArray(events)) {
      return new Refusal('malformed_body', 'the body is not {"created_at", "batch": [...]}');
    }
    const uuids = uuidsOf(events);
    if (uuids instanceof Refusal) return uuids;
    this.#uuids = uuids;
    const common = this.#common(body['capture_internal'] === true);
    return {
      isSingle: false,
      events,
      token: this.#token,
      sentAt: this.#sentAt,
      isHistorical: body['historical_migration'] === true,
      toEvent: (event, index) => v0Event(event, index, common),
    };
  }

  tokenOf({ token = '' }: Batch, bytesMax: number): Token | Refusal {
    return checkToken(token, bytesMax);
  }

  accepted(taken: Taken): Answer {
    return results(this.#uuids, taken, this.#headers);
  }

  refused(refusal: Refusal): Answer {
    return v1Error(refusal, this.#headers);
  }

  #common(isInternal: boolean): V1Common {
    const info = this.#sdkInfo.length > SDK_INFO_CHARS_MAX ? undefined : SDK_INFO.exec(this.#sdkInfo)?.groups;
    return { lib: info?.['lib']?.trim(), libVersion: info?.['version']?.trim(), isInternal };
  }
}

function headFault(
  token: string | undefined,
  contentType: string,
  contentEncoding: string,
): Refusal | undefined {
  if (token === undefined) {
    const text = 'the token is missing: send the header "Authorization: Bearer" with the project\'s token';
    return new Refusal('missing_token', text);
  }
  if (contentType !== '' && !JSON_TYPE.test(contentType)) {
    const shown = JSON.stringify(contentType.slice(0, 100));
    return new Refusal(
      'unsupported_content_type',
      `the content type ${shown} is not supported: send application/json`,
    );
  }
  const unknown = unknownEncoding([contentEncoding]);
  return unknown === undefined ? undefined : unsupportedEncoding(unknown);
}

/** The key of each event's result: without it, or with one twice, nobody could be told what became of it. */
function uuidsOf(events: readonly Json[]): string[] | Refusal {
  const uuids: string[] = [];
  const seen = new Set<string>();
  for (const [index, event] of events.entries()) {
    if (!isJsonObject(event)) return new Refusal('malformed_body', `event ${index} is not a JSON object`);
    const { uuid } = event;
    if (uuid === undefined || uuid === null || uuid === '') {
      return refuse('missing_uuid', event, index, '"uuid" is missing');
    }
    const known = typeof uuid === 'string' ? parseUuid(uuid) : undefined;
    if (known === undefined) return refuse('invalid_uuid', event, index, '"uuid" is not a UUID');
    if (seen.has(known)) return refuse('duplicate_uuid', event, index, '"uuid" is that of an event before');
    seen.add(known);
    uuids.push(String(uuid));
  }
  return uuids;
}
