/** What the systems under test log, kept for as long as the tests run, and the secrets in it. */
import { appendFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Logger } from '../src/logger.ts';

/** The folder; `npm test` sets it, and looks through it at the end. */
const folder = process.env['SUITE_LOGS'];

let files = 0;

/** A new file for the logs of one process that this one starts; `undefined` when nobody will look. */
export const suiteLogFile = (): string | undefined => folder && fileOf(folder, String(++files));

/** Whole lines. */
export function keepLog(text: string): void {
  if (folder) appendFileSync(fileOf(folder, 'own'), text.endsWith('\n') ? text : `${text}\n`);
}

const fileOf = (dir: string, name: string): string =>
  join(dir, `${basename(process.argv[1] ?? 'unknown')}-${process.pid}-${name}.log`);

const keep =
  (level: string) =>
  (fields: Readonly<Record<string, unknown>>, msg: string): void => {
    if (folder) keepLog(JSON.stringify({ level, ...fields, msg }));
  };

/** Of parts that run inside a test: seen by nobody but by the look through the logs. */
export const quietLogger: Logger = {
  debug: keep('debug'),
  info: keep('info'),
  warn: keep('warn'),
  error: keep('error'),
};

/** The same for a test that looks at some of the lines itself. */
export const heardLogger = (heard: Partial<Logger>): Logger => ({
  debug: both('debug', heard),
  info: both('info', heard),
  warn: both('warn', heard),
  error: both('error', heard),
});

const both =
  (level: keyof Logger, heard: Partial<Logger>): Logger[typeof level] =>
  (fields, message) => {
    quietLogger[level](fields, message);
    heard[level]?.(fields, message);
  };

/** What tests send and set, by its form. */
const SECRETS: readonly (readonly [name: string, form: RegExp])[] = [
  ['a token', /ph[cxs]_\w+/],
  ['a mail address', /[\p{L}\p{N}_.+-]+(?:@|%40)[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*\.[a-z]{2,}\b/iu],
  ['a bearer', /\bBearer\s+[^\s"<*]+|\bBasic\s+(?=\S*\d)[a-z\d+/]{8,}/i],
  [
    'a password',
    /:\/\/[^/\s:@"]*:[^/\s"]+@|"\w*(?:password|passwd|secret|token|authorization|api_?key)\w*":\s*"(?!\*\*\*)[^"]+"|(?:password|passwd|secret)=(?!\*\*\*)[^\s"]+/i,
  ],
];

/** In a line of JSON, and in JSON that is a text in it, the letter of `\n` would hide where a word begins. */
const withoutEscapes = (line: string): string => line.replace(/\\+[nrt]/g, ' ').replace(/\\+"/g, '"');

export interface Leak {
  readonly file: string;
  readonly secret: string;
  readonly line: string;
}

/** `lines`: how many were looked at. */
export async function findLeaks(
  dir: string,
): Promise<{ readonly lines: number; readonly leaks: readonly Leak[] }> {
  const leaks: Leak[] = [];
  let lines = 0;
  for (const file of (await readdir(dir)).sort()) {
    for (const line of (await readFile(join(dir, file), 'utf8')).split('\n')) {
      if (line === '') continue;
      lines++;
      const plain = withoutEscapes(line);
      const found = SECRETS.find(([, form]) => form.test(plain));
      if (found) leaks.push({ file, secret: found[0], line });
    }
  }
  return { lines, leaks };
}
