/** Takes out of a text what must not be read in a log: credentials, tokens and mail addresses. */

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  // The user and the password of a URL; the password may have an @.
  [/(\b[a-z][a-z\d+.-]{1,20}:\/\/)[^\s/?#'"]{1,500}@/gi, '$1***@'],
  // No \b before a form: in JSON inside of JSON, a line's end is an `n`.
  [/(Bearer|Basic)\s+[\w.~+/=-]{4,2000}/gi, '$1 ***'],
  [
    /((?:password|passwd|secret|api_?key|write_?key|token)\\{0,3}["']?\s{0,3}[=:]\s{0,3}\\{0,3}["']?)(?:[^\s"'\\&,;}]|\\(?!["'])){1,500}/gi,
    '$1***',
  ],
  [/ph[cxs]_\w{1,500}/g, 'ph*_***'],
  [/[\p{L}\p{N}_.+-]{1,100}(?:@|%40)[\p{L}\p{N}_-]{1,100}(?:\.[\p{L}\p{N}_-]{1,100})+/giu, '***@***'],
];

/** What a field is called whose text is a secret, whatever its form. */
const SECRET_NAME = /password|passwd|secret|token|authorization|cookie|api_?key|write_?key/i;

const TEXT_CHARS_MAX = 4_000;
const DEPTH_MAX = 6;

/** `text` without them, cut off where it is longer than a line of a log should be. */
export function redactText(text: string): string {
  // The word that is cut in two goes as well: half a secret has no form to be known by.
  const cut =
    text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX).replace(/\S{1,500}$/, '')}…` : text;
  return PATTERNS.reduce((left, [pattern, replacement]) => left.replace(pattern, replacement), cut);
}

/** The same of every text in `value`, keys too. An error is what it says, without what libraries attach to it. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (value instanceof Error) return redactText(value.stack ?? String(value));
  if (depth === DEPTH_MAX) return '…';
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      redactText(key),
      typeof item === 'string' && SECRET_NAME.test(key) ? '***' : redact(item, depth + 1),
    ]),
  );
}
