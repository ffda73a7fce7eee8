/** The tables of `docs/capture.md`, from those that the server follows. */
import {
  CLIENTS,
  OF_ONE_EVENT,
  REACTIONS,
  REFUSED_WHEN,
  reasonsByStatus,
} from '../src/capture/api/conditions.ts';
import { EXAMPLES, type Example } from '../src/capture/api/examples.ts';
import { EVENT_ROUTES } from '../src/capture/event-routes.ts';
import { QUESTION_ROUTES } from '../src/capture/question-routes.ts';
import type { Route } from '../src/capture/routes.ts';
import { EVENT_FIELDS, EVERY_MESSAGE, type FieldMapping, MESSAGES } from '../src/capture/segment-table.ts';
import { LIMITS } from '../src/limits.ts';

/** By the name of the section of the document. */
export const SECTIONS: Readonly<Record<string, () => string>> = {
  'ways in': () => routes(EVENT_ROUTES),
  questions: () => routes(QUESTION_ROUTES),
  refusals,
  reactions,
  limits,
  examples: () => EXAMPLES.map(example).join('\n\n'),
  segment,
};

/** `text` with each section between its markers made anew. Throws for a section without its markers. */
export function withSections(text: string): string {
  let result = text;
  for (const [name, make] of Object.entries(SECTIONS)) {
    const section = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`);
    if (!section.test(result)) throw new Error(`docs/capture.md has no section <!-- ${name} -->`);
    result = result.replace(section, (_, begin, end) => `${begin}\n${make()}\n\n${end}`);
  }
  return result;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

function routes(list: readonly Route[]): string {
  return table(
    ['Path', 'Methods', 'What for', 'Who uses it'],
    list.map(({ path, methods, says, clients }) => [`\`${path}\``, methods.join(', '), says, clients]),
  );
}

function refusals(): string {
  const rows = [...reasonsByStatus()].flatMap(([status, reasons]) =>
    reasons.map((reason) => [
      status.slice(0, 3),
      `\`${reason}\``,
      REFUSED_WHEN[reason],
      OF_ONE_EVENT.has(reason) ? 'that event alone: `drop`' : 'the request',
    ]),
  );
  return table(['Status', 'Reason', 'When', 'V1 refuses'], rows);
}

function reactions(): string {
  return table(
    ['Answer', ...CLIENTS],
    Object.entries(REACTIONS).map(([status, each]) => [status, ...each]),
  );
}

const LIMIT_ROWS: readonly (readonly [string, keyof typeof LIMITS.capture, string])[] = [
  ['A body, as it comes', 'bodyBytesMax', 'bytes'],
  ['A body, decoded', 'inflatedBytesMax', 'bytes'],
  ['One event on the log', 'eventBytesMax', 'bytes'],
  ['Events of a batch', 'eventsPerBatchMax', ''],
  ['Depth of an event', 'jsonDepthMax', ''],
  ['Keys and array elements of an event', 'jsonKeysMax', ''],
  ['A token', 'tokenBytesMax', 'bytes'],
  ['A distinct id; longer ones are cut', 'distinctIdCharsMax', 'characters'],
  ["An event's name; longer ones are cut", 'eventNameCharsMax', 'characters'],
  ['Bodies at one moment, over all connections; past it 503', 'bytesInFlightMax', 'bytes'],
  ['Of those, for bodies of up to 256 KiB alone', 'smallBodiesReservedBytes', 'bytes'],
  ['Connections; past it a new one is closed', 'connectionsMax', ''],
  ['A body, from its first byte to its last; past it the connection is closed', 'bodyTimeoutMs', 'ms'],
  ['Keys and array elements of a body of more than 256 KiB', 'parsedKeysMax', ''],
  ['The headers', 'headersBytesMax', 'bytes'],
];

function limits(): string {
  return table(
    ['What', 'At most'],
    LIMIT_ROWS.map(([what, key, unit]) => [
      what,
      `${LIMITS.capture[key].toLocaleString('en')} ${unit}`.trim(),
    ]),
  );
}

const HOST = 'http://127.0.0.1:8000';

function example({ title, method, target, headers, body, isGzipped, answer }: Example): string {
  const data = typeof body === 'string' ? body : JSON.stringify(body);
  const quoted = `'${data?.replaceAll("'", "'\\''")}'`;
  const parts = [
    isGzipped ? `printf '%s' ${quoted} | gzip | curl '${HOST}${target}'` : `curl '${HOST}${target}'`,
    ...Object.entries(headers ?? {}).map(([name, value]) => `-H '${name}: ${value}'`),
    ...(isGzipped ? ['--data-binary @-'] : body === undefined ? [] : [`-d ${quoted}`]),
  ];
  const shown = typeof answer === 'string' ? `${answer}…` : JSON.stringify(answer);
  return `${title} (${method}):\n\n\`\`\`sh\n${parts.join(' \\\n  ')}\n# ${shown}\n\`\`\``;
}

function segment(): string {
  const fields = (list: readonly FieldMapping[]) => list.map(({ from, to }) => [`\`${from}\``, `\`${to}\``]);
  const messages = table(
    ['Message', 'Event', 'Its properties'],
    Object.entries(MESSAGES).map(([type, { event, spreads, fields: own }]) => [
      `\`${type}\``,
      event === undefined ? "the message's `event`" : `\`${event}\``,
      [
        ...(spreads === undefined ? [] : [`all of \`${spreads}\``]),
        ...own.map(({ from, to }) => `\`${to}\` from \`${from}\``),
      ].join(', '),
    ]),
  );
  return `${messages}\n\n${table(['Of every message', 'becomes'], fields([...EVENT_FIELDS, ...EVERY_MESSAGE]))}`;
}
