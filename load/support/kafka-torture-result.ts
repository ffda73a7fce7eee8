/** What torture over Kafka gives back. */
import type { Books } from '../../src/books.ts';
import type { Row } from '../../src/cli/terminal.ts';
import type { FaultKind } from './kafka-torture-faults.ts';
import type { Fates } from './torture-follow.ts';
import type { RivalMeeting } from './torture-rivals.ts';

export interface FaultCount {
  readonly fault: FaultKind;
  readonly done: number;
  readonly hit: number;
}

export interface KafkaTortureResult {
  readonly faults: readonly FaultCount[];
  readonly rounds: number;
  readonly acknowledged: number;
  /** How often requests met, by kind. */
  readonly meetings: Readonly<Record<RivalMeeting, number>>;
  readonly fates: Fates;
  readonly persons: number;
  /** Why workers gave up what they had, as their logs tell, and how often. */
  readonly troubles: Readonly<Record<string, number>>;
  /** Saves in the witness. */
  readonly saves: number;
  readonly rowsRepeated: number;
  readonly books: Books | undefined;
  readonly problems: readonly string[];
  /** What is kept, if something is wrong. */
  readonly folders: readonly string[];
}

/** Of a log. */
const WARNING = 40;
const TROUBLE_CHARACTERS = 100;

/** Why workers gave up what they had, by the lines of their logs. */
export function troublesOf(lines: readonly Row[]): Readonly<Record<string, number>> {
  const troubles: Record<string, number> = {};
  for (const { level, reason, error, msg } of lines) {
    if (!(Number(level) >= WARNING)) continue;
    const why = String(reason ?? error ?? msg).slice(0, TROUBLE_CHARACTERS);
    const name = why.replaceAll(/\d+/g, 'N');
    troubles[name] = (troubles[name] ?? 0) + 1;
  }
  return troubles;
}
