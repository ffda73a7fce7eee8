/** Every input has events and people of its own: recorded uuids and ids would be the same ones again and again. */
import type { Chance } from './chance.ts';
import { isMembers, type Value } from './mutate-json.ts';

export interface Whose {
  readonly seed: number;
  readonly number: number;
  /** Among the requests of the input. */
  readonly place: number;
}

/** Inputs that share people. */
const INPUTS_PER_CROWD = 25;

/** Changes `body` and gives it back. A uuid's last 12 digits are the input's number. */
export function withOwnIds(body: Value, whose: Whose, chance: Chance): Value {
  const crowd = `~${Math.floor(whose.number / INPUTS_PER_CROWD)}`;
  let events = 0;
  const visit = (value: Value): void => {
    if (Array.isArray(value)) for (const each of value) visit(each);
    if (!isMembers(value)) return;
    for (const [key, child] of Object.entries(value)) {
      if ((key === 'uuid' || key === 'messageId') && typeof child === 'string') {
        value[key] = uuidOf(whose, events++, chance);
      } else if (PERSON_KEYS.has(key) && typeof child === 'string') value[key] = `${child}${crowd}`;
      else visit(child);
    }
  };
  visit(body);
  return body;
}

const PERSON_KEYS: ReadonlySet<string> = new Set([
  'distinct_id',
  '$anon_distinct_id',
  'alias',
  'userId',
  'anonymousId',
  'previousId',
]);

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** All that a client may write; seldom in one of the odd forms. */
function uuidOf({ seed, number, place }: Whose, event: number, chance: Chance): string {
  const first = hex(seed >>> 0, 8);
  const own = `${hex(place, 1)}${hex(event, 3)}`;
  const rest = hex(number, 12);
  const version = chance.pick(['7', '4', '1', '8', '0', 'f']);
  const text = `${chance.oneIn(30) ? '00000000' : first}-${own}-${version}000-8000-${rest}`;
  switch (chance.integer(20)) {
    case 0:
      return text.toUpperCase();
    case 1:
      return text.replaceAll('-', '');
    default:
      return text;
  }
}

/** Uuids of these inputs, as a condition in ClickHouse's SQL. */
export function isOfInputs(column: string, from: number, to: number): string {
  const last = `substring(toString(${column}), 25, 12)`;
  return `${last} >= '${hex(from, 12)}' AND ${last} < '${hex(to, 12)}'`;
}
