/**
 * The elements chain: what a click went through, from the element outwards, as one string.
 * Format (PostHog's): parts joined by `;`, each `tag.class.class:key="value"key="value"`, classes and keys sorted.
 */
import { isJsonObject, type Json } from './json.ts';

const TEXT_CHARS_MAX = 400;
const HREF_CHARS_MAX = 2048;

/** Chain of an autocapture's `$elements`; anything that is no element in it is passed over. */
export function elementsChain(elements: Json): string {
  if (!Array.isArray(elements)) return '';
  return elements.filter(isJsonObject).map(elementPart).join(';');
}

function elementPart(element: Readonly<Record<string, Json>>): string {
  const tag = typeof element['tag_name'] === 'string' ? element['tag_name'] : '';
  const classes = classNames(element['attr__class'] ?? null)
    .toSorted()
    .map((name) => `.${name}`)
    .join('');
  return `${tag}${classes}:${attributes(element)}`;
}

function classNames(value: Json): string[] {
  const names = typeof value === 'string' ? value.split(/\s+/) : Array.isArray(value) ? value : [];
  return names
    .filter((name): name is string => typeof name === 'string')
    .map((name) => name.replaceAll('"', ''))
    .filter((name) => name !== '');
}

function attributes(element: Readonly<Record<string, Json>>): string {
  const found = new Map<string, string>();
  found.set('nth-child', text(element['nth_child']) || '0');
  found.set('nth-of-type', text(element['nth_of_type']) || '0');
  const own: readonly [string, string][] = [
    ['text', text(element['$el_text']).slice(0, TEXT_CHARS_MAX)],
    ['href', text(element['attr__href']).slice(0, HREF_CHARS_MAX)],
    ['attr_id', text(element['attr__id'])],
  ];
  for (const [key, value] of own) if (value !== '') found.set(key, value);
  for (const [key, value] of Object.entries(element)) {
    if (key.startsWith('attr__')) found.set(key, text(value));
  }
  return [...found]
    .toSorted(([a], [b]) => a.localeCompare(b, 'en'))
    .map(([key, value]) => `${quoted(key)}="${quoted(value)}"`)
    .join('');
}

function text(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(text).join(' ');
  // It may have a `toString` of its own that is no function.
  return isJsonObject(value) ? '[object Object]' : String(value);
}

const quoted = (value: string): string => value.replaceAll('"', '\\"');
