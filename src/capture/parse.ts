/** From a large JSON text to its value: in pieces, between which everybody else has a turn. */
import { isJsonObject, type Json } from '../event/json.ts';
import { type Outline, type OutlineLimits, outlineOf } from './outline.ts';
import { nextTurn } from './queue.ts';
import { Refusal } from './refusal.ts';

export interface ParseLimits extends OutlineLimits {
  readonly workAtOnceBytesMax: number;
}

/** A refusal for what would cost too much. Rejects with a `SyntaxError` when it is no JSON. */
export async function parseInPieces(text: string, limits: ParseLimits): Promise<Json | Refusal> {
  const outline = outlineOf(text, limits);
  await nextTurn();
  if (outline instanceof Refusal) return outline;
  if (outline === undefined) return JSON.parse(text);
  const around = parseAround(text, outline);
  const events = await parseEvents(text, outline);
  return isJsonObject(around) ? { ...around, batch: events } : events;
}

/** What stands around the events, with none of them. */
function parseAround(text: string, { start, ends }: Outline): Json {
  return JSON.parse(text.slice(0, start) + text.slice(ends.at(-1)));
}

async function parseEvents(text: string, { start, ends }: Outline): Promise<Json[]> {
  const events: Json[] = [];
  let from = start;
  for (const end of ends) {
    const piece: Json[] = JSON.parse(`[${text.slice(from, end)}]`);
    if (piece.length === 0 && ends.length > 1) throw new SyntaxError('a comma has no event behind it');
    for (const event of piece) events.push(event);
    from = end + 1;
    await nextTurn();
  }
  return events;
}
