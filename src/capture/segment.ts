/** Segment's HTTP API: what its clients post, and what they take for a yes. */
import type { Token } from '../event/ids.ts';
import { isJsonObject, type Json, type JsonObject } from '../event/json.ts';
import { json, refused } from './answers.ts';
import type { Dialect } from './dialect.ts';
import { Refusal } from './refusal.ts';
import { segmentEvent } from './segment-message.ts';
import type { MessageType } from './segment-table.ts';
import { type Batch, isArray } from './shape.ts';
import { checkToken } from './token.ts';
import type { HttpRequest } from './uws.ts';

const SUCCESS = json('{"success":true}');

const BASIC = /^basic\s+(?<credentials>\S+)$/i;

export class Segment implements Dialect {
  readonly isAllOrNothing = true;
  readonly #type: MessageType | 'batch';
  readonly #writeKey: string | undefined;

  /** `type`: what the path says. */
  constructor(type: MessageType | 'batch', req: HttpRequest) {
    this.#type = type;
    this.#writeKey = basicUser(req.getHeader('authorization'));
  }

  batchOf(body: Json): Batch | Refusal {
    const isBatch = this.#type === 'batch';
    if (!isJsonObject(body)) {
      return new Refusal('malformed_body', `the body is not ${isBatch ? '{"batch": [...]}' : 'a message'}`);
    }
    const events = isBatch ? body['batch'] : [body];
    if (!isArray(events)) return new Refusal('malformed_body', '"batch" is not an array of messages');
    const type = this.#type === 'batch' ? undefined : this.#type;
    const shared = isBatch && isJsonObject(body['context']) ? body['context'] : undefined;
    return {
      isSingle: false,
      events,
      token: this.#writeKey ?? body['writeKey'] ?? keyOfFirst(events),
      sentAt: body['sentAt'],
      isHistorical: false,
      toEvent: (message, index) => segmentEvent(inContext(message, shared), index, type),
    };
  }

  tokenOf({ token }: Batch, bytesMax: number): Token | Refusal {
    if (token === undefined || token === null) return new Refusal('missing_token', NO_KEY);
    return checkToken(token, bytesMax);
  }

  accepted = () => SUCCESS;
  refused = refused;
}

const NO_KEY =
  'the write key is missing: send the project\'s token as the user of Basic authorization, or as "writeKey"';

/** The user of `Authorization: Basic`, whose password is empty. */
function basicUser(authorization: string): string | undefined {
  const credentials = BASIC.exec(authorization)?.groups?.['credentials'];
  if (credentials === undefined) return undefined;
  const [user] = Buffer.from(credentials, 'base64').toString().split(':');
  return user === '' ? undefined : user;
}

const keyOfFirst = ([first]: readonly Json[]): Json | undefined =>
  isJsonObject(first) ? first['writeKey'] : undefined;

/** What a batch says about all of its messages. */
function inContext(message: JsonObject, shared: JsonObject | undefined): JsonObject {
  if (shared === undefined) return message;
  const { context } = message;
  return { ...message, context: isJsonObject(context) ? { ...shared, ...context } : shared };
}
