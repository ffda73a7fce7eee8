/** What is said to clients. */
import { LIMITS } from '../limits.ts';
import type { Answer } from './exchange.ts';
import type { Refusal } from './refusal.ts';

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';

/** The events are durable. Another 2xx would make posthog-js and others send them again. */
export const ACCEPTED: Answer = { status: '200 OK', type: JSON_TYPE, body: '{"status":1}' };
/** For `beacon=1` of old clients: nobody reads the answer. */
export const ACCEPTED_BEACON: Answer = { status: '204 No Content', type: TEXT, body: '' };

export const json = (body: string): Answer => ({ status: '200 OK', type: JSON_TYPE, body });

export const script = (body: string): Answer => ({
  status: '200 OK',
  type: 'application/javascript; charset=utf-8',
  body,
  headers: { 'X-Content-Type-Options': 'nosniff' },
});

export const text = (status: string, body: string, headers?: Readonly<Record<string, string>>): Answer => ({
  status,
  type: TEXT,
  body: `${body}\n`,
  ...(headers ? { headers } : {}),
});

/** A refusal in words; 503 says when to come again. */
export function refused(refusal: Refusal): Answer {
  const retry = refusal.status.startsWith('503')
    ? { 'Retry-After': String(LIMITS.capture.retryAfterSeconds) }
    : {};
  return { ...text(refusal.status, refusal.text, retry), closes: refusal.closes };
}

const PREFLIGHT_SECONDS = 600;

/** To a browser that asks whether it may send. `requestedHeaders`: its `Access-Control-Request-Headers`. */
export function preflight(methods: string, requestedHeaders: string): Answer {
  return {
    ...ACCEPTED,
    headers: {
      'Access-Control-Allow-Methods': methods,
      'Access-Control-Max-Age': String(PREFLIGHT_SECONDS),
      ...(requestedHeaders === '' ? {} : { 'Access-Control-Allow-Headers': requestedHeaders }),
    },
  };
}
