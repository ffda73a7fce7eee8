/** The capture API as an OpenAPI 3.1 document, made from the tables that the server follows. */
import { LIMITS } from '../../limits.ts';
import { isEventKind } from '../event-routes.ts';
import { ROUTES, type Route } from '../routes.ts';
import { SEGMENT_PATHS } from '../segment-table.ts';
import { REFUSED_WHEN, reasonsByStatus } from './conditions.ts';
import { EXAMPLES, type Example } from './examples.ts';
import { SCHEMAS, type SchemaName } from './schemas.ts';

type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };
type Members = { readonly [key: string]: JsonValue };

/** Its text, with a newline at the end. */
export function openApi(): string {
  const document = {
    openapi: '3.1.0',
    info: {
      title: 'Tributary capture',
      version: '1',
      description:
        "The API that PostHog's and Segment's SDKs speak. Every path is answered with a slash at its end, too, and every answer carries CORS.",
    },
    servers: [{ url: 'http://127.0.0.1:8000' }],
    paths: Object.fromEntries(ROUTES.map((route) => [openApiPath(route), operations(route)])),
    components: { schemas: SCHEMAS, responses: refusalResponses() },
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

const openApiPath = ({ path }: Route): string => path.replace(':token', '{token}').replace('*', '{script}');

function operations(route: Route): Members {
  return Object.fromEntries(route.methods.map((method) => [method.toLowerCase(), operation(route, method)]));
}

function operation(route: Route, method: 'GET' | 'POST'): Members {
  const examples = EXAMPLES.filter((example) => example.route === route.path && example.method === method);
  const takesBody = method === 'POST' && schemaOf(route) !== undefined;
  return {
    summary: route.says,
    description: `Used by: ${route.clients}.`,
    parameters: parameters(route, method),
    ...(takesBody ? { requestBody: requestBody(route, examples) } : {}),
    responses: { ...taken(route, examples), ...(isEventKind(route.kind) ? refusals(route) : {}) },
  };
}

function parameters(route: Route, method: 'GET' | 'POST'): JsonValue {
  const found: JsonValue[] = [];
  const named = /\{(\w+)\}/.exec(openApiPath(route))?.[1];
  const text = { type: 'string' };
  if (named !== undefined) found.push({ name: named, in: 'path', required: true, schema: text });
  if (route.kind === 'events' || route.kind === 'engage') {
    const query = (name: string, description: string) =>
      found.push({ name, in: 'query', description, schema: text });
    query(
      'data',
      `The events, as a body would hold them${method === 'GET' ? '' : '; the body then does not count'}`,
    );
    query('compression', 'gzip, gzip-js, base64, lz64, …: told from the bytes where it can be');
    query('_', 'When it was sent, in epoch milliseconds, where the body has no `sent_at`');
    query('beacon', '`1`: 204 instead of 200');
  }
  if (route.kind === 'events_v1') {
    found.push({
      name: 'Authorization',
      in: 'header',
      description: '`Bearer TOKEN`',
      required: true,
      schema: text,
    });
    found.push({
      name: 'PostHog-Request-Timestamp',
      in: 'header',
      description: 'When it was sent',
      schema: text,
    });
    found.push({ name: 'PostHog-Sdk-Info', in: 'header', description: '`name/version`', schema: text });
  }
  if (route.kind === 'segment') {
    const description = '`Basic`, with the token as the user; or `writeKey` in the body';
    found.push({ name: 'Authorization', in: 'header', description, schema: text });
  }
  return found;
}

function schemaOf({ kind, path }: Route): SchemaName | undefined {
  switch (kind) {
    case 'events':
    case 'engage':
      return 'Events';
    case 'events_v1':
      return 'V1Batch';
    case 'segment':
      return SEGMENT_PATHS[path] === 'batch' ? 'SegmentBatch' : 'SegmentMessage';
    case 'recordings':
      return 'Recordings';
    case 'flags':
    case 'decide':
      return 'Question';
    default:
      return undefined;
  }
}

function requestBody(route: Route, examples: readonly Example[]): Members {
  const name = schemaOf(route);
  const shown = examples.filter(({ body }) => body !== undefined && typeof body !== 'string');
  return {
    required: true,
    description: `At most ${LIMITS.capture.bodyBytesMax} bytes. gzip, deflate, zstd, base64, forms and \`text/plain\` are read as well.`,
    content: {
      'application/json': {
        schema: { $ref: `#/components/schemas/${name}` },
        ...(shown.length === 0
          ? {}
          : {
              examples: Object.fromEntries(
                shown.map(({ title, body = null }, index) => [
                  `example${index + 1}`,
                  { summary: title, value: body },
                ]),
              ),
            }),
      },
    },
  };
}

function taken(route: Route, examples: readonly Example[]): Members {
  if (route.kind === 'script')
    return { '200': { description: 'The script' }, '404': { description: 'There is none' } };
  if (route.kind === 'config_script') return { '200': { description: 'The script' } };
  const answers: Partial<Record<Route['kind'], SchemaName>> = {
    events_v1: 'V1Results',
    segment: 'SegmentTaken',
  };
  const isTaking = isEventKind(route.kind) || route.kind === 'recordings';
  const name = answers[route.kind] ?? (isTaking ? 'Taken' : undefined);
  const schema = name === undefined ? {} : { schema: { $ref: `#/components/schemas/${name}` } };
  const [example] = examples;
  const content = { ...schema, ...(example === undefined ? {} : { example: example.answer }) };
  const description = isEventKind(route.kind) ? 'Every event is durable' : route.says;
  const ok = { '200': { description, content: { 'application/json': content } } };
  const hasBeacon = route.kind === 'events' || route.kind === 'engage';
  return hasBeacon ? { ...ok, '204': { description: 'The same, for `beacon=1`' } } : ok;
}

type Form = 'text' | 'json';
const FORMS: readonly Form[] = ['text', 'json'];

const refusalName = (form: Form, status: string): string => `Refused${status.slice(0, 3)}${form}`;

function refusals(route: Route): Members {
  const form = route.kind === 'events_v1' ? 'json' : 'text';
  return Object.fromEntries(
    [...reasonsByStatus().keys()].map((status) => [
      status.slice(0, 3),
      { $ref: `#/components/responses/${refusalName(form, status)}` },
    ]),
  );
}

function refusalResponses(): Members {
  const named = [...reasonsByStatus()].flatMap(([status, reasons]) => {
    const description = reasons.map((reason) => `${reason}: ${REFUSED_WHEN[reason]}`).join('; ');
    const types: Readonly<Record<Form, string>> = { text: 'text/plain', json: 'application/json' };
    return FORMS.map((form) => [refusalName(form, status), { description, content: { [types[form]]: {} } }]);
  });
  return Object.fromEntries(named);
}
