/** How the hold reads on a terminal. */
import type { HoldNotice } from '../actors/hold-report.ts';
import { plain } from './terminal.ts';

const ID_CHARS_MAX = 40;

/** One line for whoever watches `npm start`. */
export function holdNoticeText(
  { distinctId, untilMs, ids, events }: HoldNotice,
  holdSeconds: number,
): string {
  const waiting = `${counted(events, 'event')} of ${counted(ids, 'id')} ${events === 1 ? 'waits' : 'wait'}`;
  return (
    `Held until ${clockTime(untilMs)}: events of ${quoted(distinctId)}, whom nobody knows yet. ` +
    'An $identify or alias that names this id, or time, lets them go on ' +
    `(${waiting}; BUFFER_CONVERSION_SECONDS=${holdSeconds}, 0 turns this off).`
  );
}

/** In quotes, shortened, and without what could move the cursor. */
export function quoted(text: string): string {
  const chars = [...text];
  const short = chars.length > ID_CHARS_MAX ? `${chars.slice(0, ID_CHARS_MAX - 1).join('')}…` : text;
  return plain(JSON.stringify(short));
}

/** The time of day as this machine's user reads it: 12:00:05. */
export function clockTime(ms: number): string {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(':');
}

const twoDigits = (number: number): string => String(number).padStart(2, '0');

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
