/** `key=value` as commands take it. */
import type { Json } from '../event/json.ts';
import { UsageError } from './command.ts';

/** `option` is what errors call it. */
export function keyTexts(option: string, given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`${option} is ${JSON.stringify(text)}: it takes key=value`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** A value is JSON if it parses as such, else text: `plan=pro`, `age=42`, `tags=["a"]`, `zip="01234"`. */
export function keyValues(option: string, given: readonly string[]): Record<string, Json> {
  const texts = Object.entries(keyTexts(option, given));
  return Object.fromEntries(texts.map(([key, text]) => [key, jsonOrText(text)]));
}

function jsonOrText(text: string): Json {
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch {
    return text;
  }
}
